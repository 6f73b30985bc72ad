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

  std::string worker_id() const;
};

struct FleetPlan {
  std::vector<PlannedWorker> workers;
  // Models that cannot be served, and why.
  std::map<std::string, std::string> refused;
};

// A worker, or `replicas[model]`, for each served version of each model.
// NOT_FOUND when the repository is not there or holds no model; INVALID_ARGUMENT
// when `replicas` names a model that it does not hold.
absl::StatusOr<FleetPlan> PlanFleet(const std::filesystem::path& repository,
                                    const std::map<std::string, int>& replicas);

}  // namespace torchfleet::cli
