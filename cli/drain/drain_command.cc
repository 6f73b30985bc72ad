#include "cli/drain/drain_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <condition_variable>
#include <cstdio>
#include <mutex>

#include "absl/time/time.h"
#include "base/log.h"
#include "base/status.h"
#include "cli/client/registry_client.h"
#include "cli/drain/drain_target.h"
#include "cli/exit_codes.h"
#include "registry/client/watcher.h"

namespace torchfleet::cli {
namespace {

void Print(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

// DEADLINE_EXCEEDED with those that are still there.
absl::Status AwaitGone(const std::string& addresses, DrainProgress progress,
                       absl::Duration timeout) {
  std::mutex mu;
  std::condition_variable changed;
  registry::Watcher watcher(addresses, {.on_change =
                                            [&](const auto& response) {
                                              const std::lock_guard lock(mu);
                                              for (const auto& line : progress.Apply(response)) {
                                                Print(line);
                                              }
                                              changed.notify_all();
                                            },
                                        .on_connection = nullptr});
  watcher.Start();
  bool done = false;
  {
    std::unique_lock lock(mu);
    done =
        changed.wait_for(lock, absl::ToChronoNanoseconds(timeout), [&] { return progress.done(); });
  }
  watcher.Stop();
  if (done) return absl::OkStatus();
  return absl::DeadlineExceededError(fmt::format(
      "not gone after {}: {}", absl::FormatDuration(timeout), fmt::join(progress.left(), ", ")));
}

absl::Status Drain(const DrainOptions& options) {
  ASSIGN_OR_RETURN(const std::string addresses, RegistryAddresses(options.registry));
  ASSIGN_OR_RETURN(const auto fleet, FleetSnapshot(addresses, options.timeout));
  ASSIGN_OR_RETURN(auto request, DrainTarget(fleet, options.name));
  request.set_actor(Actor());
  ASSIGN_OR_RETURN(const auto told, AskToDrain(addresses, request, options.timeout));
  for (const std::string& id : told.worker_ids()) Print(fmt::format("{} is told to drain", id));
  if (!options.wait) return absl::OkStatus();
  const std::vector<std::string> ids(told.worker_ids().begin(), told.worker_ids().end());
  return AwaitGone(addresses, DrainProgress(ids, fleet), options.timeout);
}

}  // namespace

int RunDrain(const DrainOptions& options) {
  const absl::Status status = Drain(options);
  return status.ok() ? kOk : Fail(status);
}

}  // namespace torchfleet::cli
