#pragma once
// The operators' port, over HTTP: Prometheus metrics at /metrics, liveness at
// /healthz, readiness at /readyz (200, or 503 with the reason), and the pages
// that a process adds.
//
// Lifecycle: Start once; what it shows is added before or after. Not ready until
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
#include "base/operator_page.h"

class CivetServer;

namespace torchfleet {

class OperatorServer {
 public:
  // OK, or what is still awaited. Asked on a thread of the server's.
  using Readiness = std::function<absl::Status()>;

  // `listen`: host:port, port 0 for a free one. UNAVAILABLE when it cannot be had.
  // `threads`: so many requests at a time, for a process whose pages block.
  static absl::StatusOr<std::unique_ptr<OperatorServer>> Start(const std::string& listen,
                                                               int threads = 1);
  ~OperatorServer();

  // Shows `collectable` at /metrics.
  void Register(std::shared_ptr<prometheus::Collectable> collectable);
  void SetReadiness(Readiness readiness);
  // Requests for `path` and all under it go to the page, whatever their method.
  // What the page borrows outlives the server.
  void AddPage(const std::string& path, OperatorPage page);
  // host:port as bound.
  const std::string& address() const { return address_; }

 private:
  class Handler;

  OperatorServer() = default;
  std::string Metrics();
  absl::Status Ready();

  std::mutex mu_;
  std::vector<std::shared_ptr<prometheus::Collectable>> collectables_ ABSL_GUARDED_BY(mu_);
  Readiness readiness_ ABSL_GUARDED_BY(mu_) = [] {
    return absl::UnavailableError("this process is starting");
  };
  std::vector<std::unique_ptr<Handler>> handlers_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<CivetServer> server_;
  std::string address_;
};

}  // namespace torchfleet
