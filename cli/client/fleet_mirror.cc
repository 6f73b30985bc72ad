#include "cli/client/fleet_mirror.h"

namespace torchfleet::cli {

namespace v1 = registry::v1;

void FleetMirror::Apply(const v1::WatchResponse& response) {
  const bool all = response.has_snapshot();
  if (all) {
    workers_.clear();
    models_.clear();
    routes_.clear();
  }
  // A delta's removals come first: what is there again is among its updates.
  for (const std::string& id : response.delta().removed()) workers_.erase(id);
  for (const std::string& name : response.delta().removed_models()) models_.erase(name);
  for (const std::string& name : response.delta().removed_routes()) routes_.erase(name);
  for (const v1::Endpoint& endpoint :
       all ? response.snapshot().endpoints() : response.delta().updated()) {
    workers_[endpoint.worker().worker_id()] = endpoint;
  }
  for (const v1::Model& model : all ? response.snapshot().models() : response.delta().models()) {
    models_[model.name()] = model;
  }
  for (const v1::Route& route : all ? response.snapshot().routes() : response.delta().routes()) {
    routes_[route.model()] = route;
  }
  for (const v1::WatchResponse::Condition& condition : response.delta().conditions()) {
    const auto found = workers_.find(condition.worker_id());
    if (found == workers_.end()) continue;
    v1::Endpoint& endpoint = found->second;
    endpoint.set_state(condition.state());
    *endpoint.mutable_load() = condition.load();
    endpoint.set_disconnected(condition.disconnected());
    endpoint.set_reason(condition.reason());
    endpoint.set_drain_phase(condition.drain_phase());
  }
}

v1::WatchResponse FleetMirror::Snapshot() const {
  v1::WatchResponse response;
  for (const auto& [id, endpoint] : workers_) {
    *response.mutable_snapshot()->add_endpoints() = endpoint;
  }
  for (const auto& [name, model] : models_) *response.mutable_snapshot()->add_models() = model;
  for (const auto& [name, route] : routes_) *response.mutable_snapshot()->add_routes() = route;
  return response;
}

}  // namespace torchfleet::cli
