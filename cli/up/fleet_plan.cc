#include "cli/up/fleet_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/status.h"
#include "repository/layout.h"

namespace torchfleet::cli {

std::string PlannedWorker::worker_id() const {
  return fmt::format("{}-{}-{}", model, version, replica);
}

absl::StatusOr<std::vector<int64_t>> PlanModel(const std::filesystem::path& repository,
                                               const std::string& model) {
  ASSIGN_OR_RETURN(const auto config, repository::ReadConfig(repository, model, nullptr));
  ASSIGN_OR_RETURN(const auto served, repository::ServedVersions(repository, model, config));
  std::vector<int64_t> versions;
  for (const auto& version : served) versions.push_back(version.version);
  return versions;
}

absl::StatusOr<FleetPlan> PlanFleet(const std::filesystem::path& repository,
                                    const std::map<std::string, int>& replicas) {
  ASSIGN_OR_RETURN(const std::vector<std::string> models, repository::ListModels(repository));
  if (models.empty()) {
    return absl::NotFoundError(
        fmt::format("{} holds no model; expected a folder with a config.pbtxt. Train one: "
                    "torchfleet train SPEC --repository {}",
                    repository.string(), repository.string()));
  }
  for (const auto& [model, count] : replicas) {
    if (std::find(models.begin(), models.end(), model) == models.end()) {
      return absl::InvalidArgumentError(fmt::format("--replicas names '{}', which {} does not hold",
                                                    Clip(model), repository.string()));
    }
  }
  FleetPlan plan;
  for (const std::string& model : models) {
    const auto versions = PlanModel(repository, model);
    if (versions.ok()) {
      plan.models[model] = *versions;
    } else {
      plan.refused[model] = std::string(versions.status().message());
    }
  }
  plan.replicas = replicas;
  return plan;
}

}  // namespace torchfleet::cli
