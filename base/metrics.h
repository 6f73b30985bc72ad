#pragma once
// The operators' port: Prometheus metrics over HTTP at /metrics.
//
// Lifecycle: Start once; families are added to registry() before or after.
// Collectables registered with it must outlive it. Thread-safe.

#include <prometheus/registry.h>

#include <memory>
#include <string>

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
  std::unique_ptr<prometheus::Exposer> exposer_;
  std::string address_;
};

}  // namespace torchfleet
