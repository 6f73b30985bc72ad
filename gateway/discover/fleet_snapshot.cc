#include "gateway/discover/fleet_snapshot.h"

#include <algorithm>

namespace torchfleet::gateway {

FleetSnapshot FleetSnapshot::ForWorker(const std::string& address) {
  FleetSnapshot snapshot;
  snapshot.seen = true;
  snapshot.fixed.ready.push_back(address);
  return snapshot;
}

const FleetModel* FleetSnapshot::Model(std::string_view model) const {
  const auto found = models.find(model);
  return found == models.end() ? nullptr : found->second.get();
}

const FleetVersion* FleetSnapshot::Version(std::string_view model, std::string_view version) const {
  const FleetModel* const known = Model(model);
  if (!known) return nullptr;
  const auto found = known->versions.find(version);
  return found == known->versions.end() ? nullptr : found->second.get();
}

std::vector<std::string> FleetSnapshot::ReadyVersions(std::string_view model) const {
  std::vector<std::string> ready;
  const FleetModel* const known = Model(model);
  if (!known) return ready;
  for (const auto& [number, version] : known->versions) {
    if (!version->ready.empty()) ready.push_back(number);
  }
  return ready;
}

registry::v1::WatchResponse::Snapshot AsSaid(const FleetSnapshot& fleet) {
  registry::v1::WatchResponse::Snapshot said;
  for (const auto& [name, model] : fleet.models) {
    if (model->catalogued) *said.add_models() = *model->catalogued;
    for (const auto& [number, version] : model->versions) {
      for (const auto& [id, endpoint] : version->endpoints) *said.add_endpoints() = *endpoint;
    }
  }
  for (const auto& [name, route] : fleet.routes) *said.add_routes() = *route;
  std::sort(said.mutable_endpoints()->pointer_begin(), said.mutable_endpoints()->pointer_end(),
            [](const auto* a, const auto* b) {
              return a->worker().worker_id() < b->worker().worker_id();
            });
  return said;
}

std::string_view VersionState(const FleetVersion& version) {
  const auto has = [&](registry::v1::WorkerState state) {
    return std::any_of(version.endpoints.begin(), version.endpoints.end(),
                       [&](const auto& endpoint) { return endpoint.second->state() == state; });
  };
  if (has(registry::v1::WORKER_STATE_READY)) return "READY";
  if (has(registry::v1::WORKER_STATE_STARTING)) return "LOADING";
  if (has(registry::v1::WORKER_STATE_DRAINING)) return "UNLOADING";
  return "UNAVAILABLE";
}

std::string VersionReason(const FleetModel& model, const FleetVersion& version) {
  if (VersionState(version) != "UNAVAILABLE") return "";
  for (const auto& [id, endpoint] : version.endpoints) {
    if (!endpoint->reason().empty()) return endpoint->reason();
  }
  const bool unloaded = model.catalogued && model.catalogued->placement().unloaded();
  return unloaded ? "unloaded" : "no worker";
}

}  // namespace torchfleet::gateway
