#include "cli/up/fleet_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/status.h"
#include "repository/layout.h"

namespace torchfleet::cli {

std::string PlannedWorker::worker_id() const {
  return fmt::format("{}-{}-{}", model, version, replica);
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
    const auto config = repository::ReadConfig(repository, model, nullptr);
    const auto versions =
        config.ok() ? repository::ServedVersions(repository, model, *config)
                    : absl::StatusOr<std::vector<repository::ModelVersion>>(config.status());
    if (!versions.ok()) {
      plan.refused[model] = std::string(versions.status().message());
      continue;
    }
    for (const auto& version : *versions) plan.models[model].push_back(version.version);
  }
  plan.replicas = replicas;
  return plan;
}

std::vector<PlannedWorker> WorkersOf(const FleetPlan& plan, const ModelWishes& wishes) {
  std::vector<PlannedWorker> workers;
  for (const auto& [model, versions] : plan.models) {
    const auto found = wishes.find(model);
    const ModelWish wish = found == wishes.end() ? ModelWish() : found->second;
    if (wish.unloaded) continue;
    const auto said = plan.replicas.find(model);
    const int count = wish.replicas > 0             ? wish.replicas
                      : said == plan.replicas.end() ? 1
                                                    : said->second;
    for (const int64_t version : versions) {
      for (int replica = 0; replica < count; ++replica) {
        workers.push_back({model, version, replica, wish.revision});
      }
    }
  }
  return workers;
}

}  // namespace torchfleet::cli
