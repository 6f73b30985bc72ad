#pragma once
// The registry process's root: wires store, fleet, service and server.
//
// Lifecycle: Start; Stop (or destruction) ends every stream, then the server.
// Thread-safe after Start.

#include <memory>
#include <string>

#include "base/grpc_server.h"
#include "base/metrics.h"
#include "registry/front/registry_service.h"
#include "registry/store/epoch_counter.h"
#include "registry/watch/fleet.h"

namespace torchfleet::registry {

class RegistryServer {
 public:
  struct Options {
    std::string listen = "127.0.0.1:9400";
    std::string operator_listen = "127.0.0.1:0";
    absl::Duration lease = absl::Seconds(5);
  };

  // Errors of the addresses: INVALID_ARGUMENT, UNAVAILABLE.
  static absl::StatusOr<std::unique_ptr<RegistryServer>> Start(const Options& options,
                                                               const Clock& clock);
  ~RegistryServer();
  void Stop();

  const std::string& address() const { return server_->address(); }
  const std::string& operator_address() const { return operators_->address(); }

 private:
  RegistryServer(const Options& options, const Clock& clock);

  EpochCounter store_;
  Fleet fleet_;
  RegistryService service_;
  std::unique_ptr<OperatorServer> operators_;
  std::unique_ptr<GrpcServer> server_;
};

}  // namespace torchfleet::registry
