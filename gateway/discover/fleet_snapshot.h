#pragma once
// The fleet as one call sees it: models, their versions, and the endpoints that
// serve them. A value; nobody changes it once it is published, and what one change
// leaves alone the next snapshot shares with the last: models, versions, endpoints.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/shared_map.h"
#include "torchfleet/registry/v1/registry.pb.h"

namespace torchfleet::gateway {

// Versions are whole numbers in decimal: 9 comes before 10.
struct VersionLess {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
  }
};

// What is known of one version of a model.
struct FleetVersion {
  // The same for as long as the version is known, whatever changes of it; another
  // version's never. 0: none was given.
  uint64_t number = 0;
  // By worker_id, each with its condition but not its load, which comes with its
  // answers. None when the catalogue alone knows the version, or all have left and
  // it is not yet forgotten.
  SharedMap<std::shared_ptr<const registry::v1::Endpoint>> endpoints = {};
  // The addresses that take calls: of those that are READY, without the
  // disconnected ones where others are left.
  std::vector<std::string> ready = {};
  // Who is there, in the same order. They lie in `endpoints`; of a fixed worker
  // nothing is known.
  std::vector<const registry::v1::Endpoint*> ready_endpoints = {};
};

struct FleetModel {
  std::map<std::string, std::shared_ptr<const FleetVersion>, VersionLess> versions = {};
  // As the catalogue has it; null when it does not.
  std::shared_ptr<const registry::v1::Model> catalogued = nullptr;
};

struct FleetSnapshot {
  // Whether the registry has spoken at all. Until then nobody knows which
  // models exist.
  bool seen = false;
  SharedMap<std::shared_ptr<const FleetModel>> models = {};
  // By the name that callers write.
  SharedMap<std::shared_ptr<const registry::v1::Route>> routes = {};
  // Where calls for every model go, whatever its name, when this gateway stands
  // before one given worker; then there are no `models`.
  FleetVersion fixed = {};

  // A gateway before one worker, without a registry.
  static FleetSnapshot ForWorker(const std::string& address);
  bool is_fixed() const { return !fixed.ready.empty(); }

  // Nothing when nobody knows it.
  const FleetModel* Model(std::string_view model) const;
  const FleetVersion* Version(std::string_view model, std::string_view version) const;
  // The versions of `model` that take calls, the lowest first.
  std::vector<std::string> ReadyVersions(std::string_view model) const;
};

// The whole fleet as a registry would say it.
registry::v1::WatchResponse::Snapshot AsSaid(const FleetSnapshot& fleet);

// READY, LOADING, UNLOADING or UNAVAILABLE: the best that any endpoint offers.
std::string_view VersionState(const FleetVersion& version);
// Why it is UNAVAILABLE; empty when it is not.
std::string VersionReason(const FleetModel& model, const FleetVersion& version);

}  // namespace torchfleet::gateway
