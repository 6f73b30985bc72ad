#pragma once
// The operators' port, over HTTP: Prometheus metrics at /metrics, liveness at
// /healthz, readiness at /readyz (200, or 503 with the reason); and what a process
// shows besides.
//
// Lifecycle: Start once; what it shows is added by one caller at a time. Not ready until
// SetReadiness says how to tell. It keeps the collectables it shows; what they
// and the readiness borrow outlives it. Thread-safe.

#include <prometheus/collectable.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

class CivetServer;

namespace torchfleet {

class OperatorServer {
 public:
  // OK, or what is still awaited. Asked on a thread of the server's.
  using Readiness = std::function<absl::Status()>;

  // `listen`: host:port, port 0 for a free one. UNAVAILABLE when it cannot be had.
  static absl::StatusOr<std::unique_ptr<OperatorServer>> Start(const std::string& listen);
  ~OperatorServer();

  // Shows `collectable` at /metrics.
  void Register(std::shared_ptr<prometheus::Collectable> collectable);
  void SetReadiness(Readiness readiness);
  // Shows a JSON document at `path`, as `read` gives it at the time.
  void Show(const std::string& path, std::function<std::string()> read);
  // host:port as bound.
  const std::string& address() const { return address_; }

 private:
  class Page;

  OperatorServer() = default;
  std::string Metrics();
  absl::Status Ready();

  std::mutex mu_;
  std::vector<std::shared_ptr<prometheus::Collectable>> collectables_ ABSL_GUARDED_BY(mu_);
  Readiness readiness_ ABSL_GUARDED_BY(mu_) = [] {
    return absl::UnavailableError("this process is starting");
  };
  std::vector<std::unique_ptr<Page>> pages_;
  std::unique_ptr<CivetServer> server_;
  std::string address_;
};

}  // namespace torchfleet
