#pragma once
// The operators' port: Prometheus metrics over HTTP at /metrics.
//
// Lifecycle: Start once; families are added to registry() before or after.
// It keeps the collectables it shows; what they borrow outlives it. Thread-safe.

#include <prometheus/registry.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"

namespace prometheus {
class Exposer;
}

namespace torchfleet {

class OperatorServer {
 public:
  // `listen`: host:port, port 0 for a free one. UNAVAILABLE when it cannot be had.
  static absl::StatusOr<std::unique_ptr<OperatorServer>> Start(const std::string& listen);
  ~OperatorServer();

  prometheus::Registry& registry() { return *registry_; }
  // Shows `collectable` at /metrics too.
  void Register(std::shared_ptr<prometheus::Collectable> collectable);
  // host:port as bound.
  const std::string& address() const { return address_; }

 private:
  OperatorServer() = default;
  std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();
  std::mutex mu_;
  // The exposer itself keeps weak pointers only.
  std::vector<std::shared_ptr<prometheus::Collectable>> collectables_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<prometheus::Exposer> exposer_;
  std::string address_;
};

}  // namespace torchfleet
