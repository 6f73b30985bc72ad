#include "cli/up/up_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "absl/strings/numbers.h"
#include "base/status.h"
#include "cli/exit_codes.h"
#include "cli/sibling.h"
#include "cli/state/fleet_file.h"
#include "cli/up/catalogue_roster.h"
#include "cli/up/local_launcher.h"
#include "cli/up/supervisor.h"

namespace torchfleet::cli {
namespace {

absl::StatusOr<std::map<std::string, int>> Replicas(const std::vector<std::string>& arguments) {
  std::map<std::string, int> replicas;
  for (const std::string& argument : arguments) {
    const size_t equals = argument.find('=');
    int count = 0;
    if (equals == std::string::npos || !absl::SimpleAtoi(argument.substr(equals + 1), &count) ||
        count < 1 || count > 1000) {
      return absl::InvalidArgumentError(fmt::format(
          "--replicas got '{}'; expected MODEL=N with N from 1 to 1000", Clip(argument)));
    }
    replicas[argument.substr(0, equals)] = count;
  }
  return replicas;
}

void Say(const std::string& text) { fmt::print(stderr, "torchfleet: {}\n", text); }

// The catalogue stays with the models that it is of, where it can be written.
std::string RegistryStore(const std::string& repository) {
  const std::filesystem::path folder = std::filesystem::path(repository) / ".torchfleet";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (access(folder.c_str(), W_OK) == 0) return "sqlite:" + (folder / "registry.db").string();
  Say(
      fmt::format("{} cannot be written, so the catalogue is kept in memory and ends with the "
                  "fleet",
                  folder.string()));
  return "memory";
}

void Leave(const std::vector<ProcessView>& processes) {
  FleetFile file;
  for (const ProcessView& process : processes) {
    file.processes.push_back(
        {process.role, process.address, process.operator_address, process.pid, process.ready});
  }
  if (const absl::Status status = WriteFleetFile(file); !status.ok()) {
    Say(std::string(status.message()));
  }
}

void Welcome(const FleetPlan& plan, const std::vector<ProcessView>& processes) {
  std::string gateway, registry, metrics;
  size_t down = 0;
  for (const ProcessView& process : processes) {
    if (process.role == "gateway") gateway = process.address, metrics = process.operator_address;
    if (process.role == "registry") registry = process.address;
    if (!process.ready) ++down;
  }
  std::map<std::string, int> workers;
  for (const ProcessView& process : processes) {
    if (process.role == "worker") ++workers[process.model];
  }
  std::string text = fmt::format(
      "\nThe fleet is running{}.\n\n  gateway   {}   (gRPC, Open Inference Protocol)\n"
      "  metrics   http://{}/metrics\n  registry  {}\n\n",
      down == 0 ? "" : fmt::format("; {} processes are not ready yet", down), gateway, metrics,
      registry);
  for (const auto& [model, count] : workers) {
    text += fmt::format("  {}   {} worker{}\n", model, count, count == 1 ? "" : "s");
  }
  const std::string self = SiblingPath("torchfleet").string();
  const std::string model = plan.models.empty() ? "MODEL" : plan.models.begin()->first;
  text += fmt::format(
      "\nCall it:\n  {0} status\n  {0} infer {1} --input @row.npy\n"
      "  any Open Inference client at {2}\n\nCtrl-C drains and ends it.\n\n",
      self, model, gateway);
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

absl::Status Up(const UpOptions& options) {
  ASSIGN_OR_RETURN(const auto replicas, Replicas(options.replicas));
  ASSIGN_OR_RETURN(const FleetPlan plan, PlanFleet(options.repository, replicas));
  for (const auto& [model, reason] : plan.refused) {
    Say(fmt::format("model {} is left out: {}", model, reason));
  }
  LocalLauncher launcher(SiblingPath("").string(), WantsColour(STDERR_FILENO));
  const MonotonicClock clock;
  SupervisorOptions supervised;
  supervised.repository = options.repository;
  supervised.gateway_listen = options.listen;
  supervised.worker_binary = options.worker_binary;
  supervised.registry_store =
      options.store.empty() ? RegistryStore(options.repository) : options.store;
  supervised.common_arguments = {"--log-format", options.log_format, "--log-level",
                                 options.log_level};
  CatalogueRoster roster({options.repository, plan, options.scale_in_after}, launcher, clock, Say);
  Supervisor supervisor(supervised, roster, launcher, clock,
                        {[&](const auto& processes) { Welcome(plan, processes); }, Leave, Say});
  const absl::Status status = supervisor.Run();
  RemoveFleetFile();
  return status;
}

}  // namespace

int RunUp(const UpOptions& options) {
  const absl::Status status = Up(options);
  if (!status.ok()) {
    Fail(status);
    return absl::IsInvalidArgument(status) ? kUsage : kFailed;
  }
  Say("the fleet has drained");
  return kOk;
}

}  // namespace torchfleet::cli
