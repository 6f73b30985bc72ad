#pragma once
// Endpoints and the registry's words about them, short enough for tables.

#include <string>
#include <vector>

#include "torchfleet/registry/v1/registry.pb.h"

namespace torchfleet::gateway {

inline registry::v1::Endpoint MakeEndpoint(
    const std::string& worker_id, const std::string& model, const std::string& version,
    registry::v1::WorkerState state = registry::v1::WORKER_STATE_READY) {
  registry::v1::Endpoint endpoint;
  endpoint.mutable_worker()->set_worker_id(worker_id);
  endpoint.mutable_worker()->set_address(worker_id + ".example:1");
  endpoint.mutable_worker()->set_model(model);
  endpoint.mutable_worker()->set_version(version);
  endpoint.set_epoch(1);
  endpoint.set_state(state);
  endpoint.set_ttl_ms(5000);
  return endpoint;
}

inline registry::v1::WatchResponse MakeSnapshot(
    const std::string& incarnation, const std::vector<registry::v1::Endpoint>& endpoints) {
  registry::v1::WatchResponse response;
  response.set_incarnation(incarnation);
  response.mutable_snapshot();
  for (const auto& endpoint : endpoints) *response.mutable_snapshot()->add_endpoints() = endpoint;
  return response;
}

inline registry::v1::WatchResponse MakeDelta(const std::string& incarnation,
                                             const std::vector<registry::v1::Endpoint>& updated,
                                             const std::vector<std::string>& removed) {
  registry::v1::WatchResponse response;
  response.set_incarnation(incarnation);
  response.mutable_delta();
  for (const auto& endpoint : updated) *response.mutable_delta()->add_updated() = endpoint;
  for (const auto& worker_id : removed) response.mutable_delta()->add_removed(worker_id);
  return response;
}

}  // namespace torchfleet::gateway
