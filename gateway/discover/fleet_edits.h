#pragma once
// What is being changed of a fleet, until it is a snapshot. Pure.
//
// Changes are gathered by model and version; Commit makes anew the models and
// versions that they touch and shares the rest with the snapshot before.
// Not thread-safe.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "gateway/discover/fleet_snapshot.h"

namespace torchfleet::gateway {

// What differs from the snapshot before, for whoever keeps something by it.
struct FleetChange {
  // Nothing that a call could see.
  bool none = true;
  // Models or routes of the catalogue differ.
  bool catalogue = false;
  // Models that were not known, and routes that give models another name.
  std::set<std::string> new_models = {};
  // Addresses where something differs: the epoch of the latest registration there,
  // or nothing where nobody is any more.
  std::map<std::string, std::optional<uint64_t>> addresses = {};
};

class FleetEdits {
 public:
  using EndpointPtr = std::shared_ptr<const registry::v1::Endpoint>;

  void SetSeen() { seen_ = true; }
  void Put(const EndpointPtr& endpoint);
  void Remove(const registry::v1::Worker& worker);
  // Whether the version is to be known without an endpoint.
  void SetRemembered(const std::string& model, const std::string& version, bool remembered);
  // As the catalogue has them from now on; nothing: no longer.
  void SetModel(const std::string& name, std::shared_ptr<const registry::v1::Model> model);
  void SetRoute(const std::string& name, std::shared_ptr<const registry::v1::Route> route);

  // The change since the last Commit, without its addresses.
  FleetChange Commit();
  const FleetSnapshot& snapshot() const { return snapshot_; }

 private:
  struct VersionEdit {
    SharedMap<EndpointPtr>::Changes endpoints = {};
    std::optional<bool> remembered = std::nullopt;
  };
  struct ModelEdit {
    std::map<std::string, VersionEdit> versions = {};
    std::optional<std::shared_ptr<const registry::v1::Model>> catalogued = std::nullopt;
  };

  // Nothing when nobody knows it any more.
  std::shared_ptr<const FleetModel> Edited(const std::string& name, const ModelEdit& edit);
  void EditVersion(const std::string& model, const std::string& number, const VersionEdit& edit,
                   FleetModel& into);

  bool seen_ = false;
  uint64_t versions_known_ = 0;
  std::map<std::string, ModelEdit> edits_;
  SharedMap<std::shared_ptr<const registry::v1::Route>>::Changes routes_;
  // Versions that are known without an endpoint, by model.
  std::map<std::string, std::set<std::string>> remembered_;
  FleetSnapshot snapshot_;
};

}  // namespace torchfleet::gateway
