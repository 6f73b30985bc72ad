#pragma once
// Which processes make a fleet of a model repository.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/up/launcher.h"

namespace torchfleet::cli {

// One worker to run.
struct PlannedWorker {
  std::string model;
  int64_t version = 0;
  // Counts the replicas of that version from 0.
  int replica = 0;
  // Which wish it stands for: one that ended because it was asked to is started
  // again for another wish only.
  uint64_t wish = 0;

  std::string worker_id() const;
};

// What the catalogue wishes of a model.
struct ModelWish {
  // Workers for each version; 0 says nothing.
  int replicas = 0;
  // No worker at all.
  bool unloaded = false;
  // The revision of the model's last change.
  uint64_t revision = 0;

  friend bool operator==(const ModelWish&, const ModelWish&) = default;
};

// By model.
using ModelWishes = std::map<std::string, ModelWish>;

struct FleetPlan {
  // The versions of each model that are to be served, ascending.
  std::map<std::string, std::vector<int64_t>> models;
  // How many workers for each version of a model, where the user said so.
  std::map<std::string, int> replicas;
  // Models that cannot be served, and why.
  std::map<std::string, std::string> refused;
};

// What a repository holds. NOT_FOUND when there is no model at all,
// INVALID_ARGUMENT when `replicas` names a model that is not there.
absl::StatusOr<FleetPlan> PlanFleet(const std::filesystem::path& repository,
                                    const std::map<std::string, int>& replicas);

// The workers to run: as many for each version as the catalogue wishes, else as
// the user said, else one. Sorted by model, version and replica.
std::vector<PlannedWorker> WorkersOf(const FleetPlan& plan, const ModelWishes& wishes);

}  // namespace torchfleet::cli
