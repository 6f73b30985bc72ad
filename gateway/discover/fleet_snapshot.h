#pragma once
// The fleet as one call sees it: models, their versions, and the endpoints that
// serve them. A value; nobody changes it once it is published.

#include <map>
#include <string>
#include <string_view>
#include <vector>

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
  // Sorted by worker_id. None when all have left but the version is not yet
  // forgotten.
  std::vector<registry::v1::Endpoint> endpoints;
  // The addresses of those that are READY.
  std::vector<std::string> ready;
};

struct FleetModel {
  std::map<std::string, FleetVersion, VersionLess> versions;
};

struct FleetSnapshot {
  // Whether the registry has spoken at all. Until then nobody knows which
  // models exist.
  bool seen = false;
  std::map<std::string, FleetModel, std::less<>> models;
  // Where calls for every model go, whatever its name, when this gateway stands
  // before one given worker; then there are no `models`.
  FleetVersion fixed;

  // A gateway before one worker, without a registry.
  static FleetSnapshot ForWorker(const std::string& address);
  bool is_fixed() const { return !fixed.ready.empty(); }

  // The versions of `model` with an endpoint that is READY, the lowest first.
  std::vector<std::string> ReadyVersions(std::string_view model) const;
};

// READY, LOADING, UNLOADING or UNAVAILABLE: the best that any endpoint offers.
std::string_view VersionState(const FleetVersion& version);

}  // namespace torchfleet::gateway
