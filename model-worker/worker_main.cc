#include "model-worker/worker_main.h"

#include <algorithm>
#include <cstdlib>
#include <future>
#include <thread>

#include "base/log.h"
#include "base/process.h"
#include "base/shutdown.h"
#include "model-worker/watchdog.h"
#include "model-worker/worker_server.h"
#include "registry/client/registry_channel.h"

namespace torchfleet::worker {
namespace {

struct Flags {
  ProcessOptions process{.role = "worker"};
  WorkerOptions worker;
  WorkerPlace place;
  Watchdog::Rules watchdog;
  // None: by the control group.
  std::optional<uint64_t> memory_limit;
  absl::Duration drain_delay = absl::Milliseconds(500);
  absl::Duration drain_timeout = absl::Seconds(10);
};

void AddFlags(CLI::App& app, Flags& flags) {
  AddFlag(app, "--repository", flags.worker.repository,
          "The model repository: <model>/config.pbtxt, <model>/<version>/model.pt");
  AddFlag(app, "--model", flags.worker.model, "The model's name in the repository")->required();
  AddFlag(app, "--model-version", flags.worker.version, "The version; 0 is the highest served");
  AddFlag(app, "--queue-size", flags.worker.queue_size, "Requests that may wait")
      ->check(CLI::PositiveNumber);
  AddFlag(app, "--listen", flags.place.listen, "host:port for calls; port 0 takes a free one");
  AddFlag(app, "--registry", flags.place.registry,
          "host:port of the registry, or of several with commas between; without one the worker "
          "serves those who know its address");
  AddFlag(app, "--worker-id", flags.place.worker_id,
          "Its name in the fleet, the same after a restart in its place");
  AddFlag(app, "--advertise", flags.place.advertise,
          "host:port where others reach it, when that is not the bound address");
  AddFlag(app, "--zone", flags.place.zone,
          "Where it is, such as a rack; gateways with the same --zone prefer it");
  AddDurationFlag(app, "--drain-delay", flags.drain_delay,
                  "How long it still takes calls after SIGTERM, while the news travels");
  AddDurationFlag(app, "--drain-timeout", flags.drain_timeout,
                  "How long calls that run may go on after that");
  AddDurationFlag(app, "--reload-interval", flags.worker.reload_interval,
                  "How often it looks whether the model's files have changed; 0s is never");
  AddDurationFlag(app, "--stuck-warning", flags.watchdog.warning,
                  "A batch that runs for so long is logged; 0s is never");
  AddDurationFlag(app, "--stuck-limit", flags.watchdog.limit,
                  "When a batch has run for so long the process ends; 0s is never");
  AddFlag(app, "--memory-limit", flags.memory_limit,
          "What it may use, in bytes or with K, M or G; 0 is no limit; without it 0.9 of its "
          "control group's")
      ->transform(CLI::AsSizeValue(false));
  AddProcessFlags(app, flags.process);
}

// Drains. A model that does not come back keeps neither its callers nor the
// process: torch cannot be interrupted, so the process ends under it.
void Stop(WorkerServer& worker, const Flags& flags) {
  std::promise<void> drained;
  std::thread drain([&] {
    worker.Drain(flags.drain_delay, flags.drain_timeout);
    drained.set_value();
  });
  const absl::Duration limit =
      std::min(flags.drain_delay + flags.drain_timeout + absl::Seconds(1), absl::Hours(24));
  if (drained.get_future().wait_for(absl::ToChronoNanoseconds(limit)) ==
      std::future_status::ready) {
    drain.join();
    return;
  }
  worker.Leave();
  LogWarning("the model still runs; the worker ends without it",
             {{"drain_timeout", absl::FormatDuration(flags.drain_timeout)}});
  std::_Exit(0);
}

std::shared_ptr<MemoryBudget> Memory(const Flags& flags, const Clock& clock) {
  std::optional<uint64_t> limit = flags.memory_limit;
  if (!limit) {
    limit = ControlGroupLimit("/");
    // The rest is for what the kernel counts besides, and for what comes between
    // two measurements.
    if (limit) *limit -= *limit / 10;
  }
  if (limit == 0) limit = std::nullopt;
  return std::make_shared<MemoryBudget>(limit, ProcessMemory, clock);
}

// Its callers lose their connections, and whoever started it starts another.
void EndStuck(WorkerServer& worker, const std::string& why) {
  LogError("the model does not come back; the worker ends", {{"reason", why}});
  worker.Leave(why);
  std::_Exit(kExitStuck);
}

}  // namespace

int RunWorker(int argc, char** argv, const ModelRuntime& runtime) {
  ShutdownSignal shutdown;
  Flags flags;
  CLI::App app("Serves one version of one model from a model repository.");
  AddFlags(app, flags);
  if (const auto exit_code = ParseFlags(app, argc, argv)) return *exit_code;
  const ProcessOptions& process = flags.process;
  if (const absl::Status status = InitLog(process.role, process.log_format, process.log_level);
      !status.ok()) {
    LogError(std::string(status.message()));
    return 2;
  }

  if (!flags.place.registry.empty()) {
    if (const auto parsed = registry::ParseAddresses(flags.place.registry); !parsed.ok()) {
      LogError(std::string(parsed.status().message()));
      return 2;
    }
  }
  flags.place.operator_listen = process.operator_listen;
  flags.place.on_drain = ShutdownSignal::Request;
  const MonotonicClock clock;
  flags.worker.memory = Memory(flags, clock);
  if (runtime.count_memory) runtime.count_memory(flags.worker.memory);
  auto worker = WorkerServer::Start(flags.worker, flags.place, runtime.loader, clock);
  if (!worker.ok()) {
    LogError(std::string(worker.status().message()));
    return 1;
  }
  Watchdog watchdog(flags.watchdog, (*worker)->runs(), *flags.worker.memory,
                    [&](const std::string& why) { EndStuck(**worker, why); });
  watchdog.Start();
  AnnounceReady(process, {(*worker)->address(), (*worker)->operator_address()});

  shutdown.Wait();
  Stop(**worker, flags);
  LogInfo("worker stops");
  return 0;
}

}  // namespace torchfleet::worker
