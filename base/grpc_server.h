#pragma once
// A gRPC server with what all of ours have: health, reflection, a port that may
// be 0, limits, and a drain.
//
// Lifecycle: Start; SetServing(true) once calls are welcome; Drain before
// destruction. The services outlive it. Thread-safe.

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace torchfleet {

// The largest message taken, and what RESOURCE_EXHAUSTED is answered beyond.
inline constexpr int kMaxMessageBytes = 64 << 20;

class GrpcServer {
 public:
  // `listen`: host:port, port 0 for a free one. UNAVAILABLE when it cannot be
  // had: the port is never shared with another process.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(
      const std::string& listen, const std::vector<grpc::Service*>& services);
  ~GrpcServer();

  // What grpc.health.v1 answers, for the server as a whole and for `service`.
  void SetServing(bool serving);
  void SetServing(const std::string& service, bool serving);

  // No new calls; waits for those begun, cancels what is left at `deadline`.
  void Drain(absl::Duration deadline);

  // host:port as bound.
  const std::string& address() const { return address_; }

 private:
  GrpcServer() = default;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace torchfleet
