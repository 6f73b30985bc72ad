#pragma once
// The gateway's port and what stands behind it: an EdgeService for each thread,
// and the gRPC server that answers what is no inference, on a socket without a
// name in the file system.
//
// Lifecycle: Start; Drain; destroyed. Thread-safe.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/grpc_server.h"
#include "gateway/edge/edge_service.h"
#include "net/server/server.h"

namespace torchfleet::gateway {

class Edge {
 public:
  struct Options {
    std::string listen;
    int threads = 2;
    // Pages that may call from a browser, beside those of this machine.
    std::vector<std::string> allowed_origins = {};
    std::optional<net::TlsFiles> tls = {};
    // No file: no access log.
    AccessLog::Options access_log = {};
  };

  // `control`: the services behind. All that is borrowed outlives it.
  static absl::StatusOr<std::unique_ptr<Edge>> Start(const Options& options,
                                                     const std::vector<grpc::Service*>& control,
                                                     const InferContext& context);

  const std::string& address() const { return server_->address(); }
  // What the health service says.
  GrpcServer& control() { return *control_; }
  // Waits for calls begun, up to `limit`; then ends what is left.
  void Drain(absl::Duration limit);

 private:
  explicit Edge(const Options& options) : origins_(options.allowed_origins) {}

  const CrossOrigin origins_;
  std::unique_ptr<AccessLog> access_log_;
  std::unique_ptr<GrpcServer> control_;
  std::unique_ptr<net::Server> server_;
};

}  // namespace torchfleet::gateway
