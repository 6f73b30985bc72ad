#pragma once
// RepositoryModelLoad and RepositoryModelUnload of a fleet: a wish in the
// registry's catalogue, and what comes of it.
//
//   load    catalogued ─► wished loaded ─► ready workers load anew ──► done
//                                     └─► none is ready: wait for one ─► done
//   unload  catalogued ─► wished unloaded ─► workers told to drain ─► none ready
//
// Whoever starts workers follows the catalogue; a load waits for them until the
// call's deadline, for kLongest at most. A model that only its workers know is
// loaded anew, or drained, by them alone.
//
// Borrows the fleet and the backends. Thread-safe, never blocks.

#include <grpcpp/grpcpp.h>

#include <memory>
#include <mutex>
#include <string>

#include "absl/base/thread_annotations.h"
#include "base/snapshot.h"
#include "gateway/discover/fleet_snapshot.h"
#include "gateway/forward/backend.h"
#include "registry/client/registry_channel.h"

namespace torchfleet::gateway {

class ModelControl {
 public:
  // How long a call waits for workers.
  static constexpr absl::Duration kLongest = absl::Minutes(5);

  ModelControl(const std::string& registry_addresses, const Snapshot<FleetSnapshot>& fleet,
               const BackendTable& backends);

  // NOT_FOUND for a model that neither the catalogue nor a worker knows;
  // UNAVAILABLE when the registry is away, or no worker came in time; a worker's
  // own error; FAILED_PRECONDITION when a worker that came could not load it.
  grpc::ServerUnaryReactor* Load(grpc::CallbackServerContext* context, const std::string& model);
  // NOT_FOUND, UNAVAILABLE.
  grpc::ServerUnaryReactor* Unload(grpc::CallbackServerContext* context, const std::string& model);

 private:
  friend class ModelControlCall;

  std::shared_ptr<grpc::Channel> Channel();
  // The registry on that channel did not answer.
  void Failed(const std::shared_ptr<grpc::Channel>& channel);

  const Snapshot<FleetSnapshot>& fleet_;
  const BackendTable& backends_;
  std::mutex mu_;
  registry::RegistryChannel registry_ ABSL_GUARDED_BY(mu_);
};

}  // namespace torchfleet::gateway
