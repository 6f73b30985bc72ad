#pragma once
// What a model repository holds for a fleet to serve.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

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

  friend bool operator==(const PlannedWorker&, const PlannedWorker&) = default;
};

struct FleetPlan {
  // The versions of each model that are to be served, ascending.
  std::map<std::string, std::vector<int64_t>> models;
  // How many workers for each version of a model, where the user said so.
  std::map<std::string, int> replicas;
  // Models that cannot be served, and why.
  std::map<std::string, std::string> refused;
};

// The versions of a model that its policy serves, ascending, at least one.
// Errors as of repository::ReadConfig and ServedVersions.
absl::StatusOr<std::vector<int64_t>> PlanModel(const std::filesystem::path& repository,
                                               const std::string& model);

// What a repository holds. NOT_FOUND when there is no model at all,
// INVALID_ARGUMENT when `replicas` names a model that is not there.
absl::StatusOr<FleetPlan> PlanFleet(const std::filesystem::path& repository,
                                    const std::map<std::string, int>& replicas);

}  // namespace torchfleet::cli
