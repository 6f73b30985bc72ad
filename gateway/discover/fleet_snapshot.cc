#include "gateway/discover/fleet_snapshot.h"

#include <algorithm>

namespace torchfleet::gateway {

FleetSnapshot FleetSnapshot::ForWorker(const std::string& address) {
  FleetSnapshot snapshot;
  snapshot.seen = true;
  snapshot.fixed.ready.push_back(address);
  return snapshot;
}

std::vector<std::string> FleetSnapshot::ReadyVersions(std::string_view model) const {
  std::vector<std::string> ready;
  const auto found = models.find(model);
  if (found == models.end()) return ready;
  for (const auto& [name, version] : found->second.versions) {
    if (!version.ready.empty()) ready.push_back(name);
  }
  return ready;
}

std::string_view VersionState(const FleetVersion& version) {
  const auto has = [&](registry::v1::WorkerState state) {
    return std::any_of(version.endpoints.begin(), version.endpoints.end(),
                       [&](const auto& endpoint) { return endpoint.state() == state; });
  };
  if (has(registry::v1::WORKER_STATE_READY)) return "READY";
  if (has(registry::v1::WORKER_STATE_STARTING)) return "LOADING";
  if (has(registry::v1::WORKER_STATE_DRAINING)) return "UNLOADING";
  return "UNAVAILABLE";
}

}  // namespace torchfleet::gateway
