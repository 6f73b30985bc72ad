#include "cli/up/supervisor.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/status.h"

namespace torchfleet::cli {
namespace {

constexpr absl::Duration kDrainLimit = absl::Seconds(15);
constexpr char kRegistry[] = "registry";
constexpr char kGateway[] = "gateway";
constexpr char kWorker[] = "worker";

std::string WorkerName(const PlannedWorker& worker) {
  return fmt::format("worker {}/{}.{}", worker.model, worker.version, worker.replica);
}

// `--listen ADDRESS` in a process's arguments becomes the address it got, so
// that it comes back where clients know it.
void KeepAddress(ProcessSpec& spec, const std::string& address) {
  for (size_t i = 0; i + 1 < spec.arguments.size(); ++i) {
    if (spec.arguments[i] == "--listen") spec.arguments[i + 1] = address;
  }
}

}  // namespace

Supervisor::Supervisor(SupervisorOptions options, Roster& roster, Launcher& launcher,
                       const Clock& clock, Callbacks callbacks)
    : options_(std::move(options)),
      roster_(roster),
      launcher_(launcher),
      clock_(clock),
      callbacks_(std::move(callbacks)) {
  Add(kRegistry, kRegistry, "torchfleet-registry",
      {"--listen", "127.0.0.1:0", "--store", options_.registry_store});
}

void Supervisor::Add(const std::string& role, const std::string& name, const std::string& binary,
                     std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), options_.common_arguments.begin(),
                   options_.common_arguments.end());
  Process process;
  process.role = role;
  process.spec = {name, binary, std::move(arguments)};
  process.start_at = clock_.Now();
  processes_[name] = std::move(process);
}

void Supervisor::AddGateway() {
  Add(kGateway, kGateway, "torchfleet-gateway",
      {"--listen", options_.gateway_listen, "--registry", registry_address_, "--model-control"});
}

void Supervisor::AddWorker(const PlannedWorker& worker) {
  const std::string name = WorkerName(worker);
  Add(kWorker, name, options_.worker_binary,
      {"--repository", options_.repository, "--model", worker.model, "--model-version",
       std::to_string(worker.version), "--listen", "127.0.0.1:0", "--registry", registry_address_,
       "--worker-id", worker.worker_id()});
  Process& process = processes_[name];
  process.wish = worker.wish;
  process.worker_id = worker.worker_id();
  process.model = fmt::format("{} version {}", worker.model, worker.version);
}

void Supervisor::Follow(const std::vector<PlannedWorker>& workers) {
  has_roster_ = true;
  std::set<std::string> wanted;
  for (const PlannedWorker& worker : workers) {
    const std::string name = WorkerName(worker);
    wanted.insert(name);
    const auto found = processes_.find(name);
    if (found == processes_.end()) {
      AddWorker(worker);
      continue;
    }
    Process& process = found->second;
    process.unwanted = false;
    const bool anew = std::exchange(process.wish, worker.wish) != worker.wish;
    if (process.state != State::kDrained || !anew) continue;
    process.state = State::kWaiting;
    process.start_at = clock_.Now();
  }
  for (auto next = processes_.begin(); next != processes_.end();) {
    const auto process = next++;
    if (process->second.role == kWorker && !wanted.contains(process->first)) {
      Dismiss(process->first, process->second);
    }
  }
  callbacks_.on_change(View());
}

// It drains, and is forgotten when it is gone.
void Supervisor::Dismiss(const std::string& name, Process& process) {
  if (process.state == State::kWaiting || process.state == State::kDrained) {
    processes_.erase(name);
  } else {
    process.unwanted = true;
    if (!std::exchange(process.stopped, true)) launcher_.Stop(name);
  }
}

absl::Status Supervisor::Run() {
  absl::Status status;
  while (!draining_ && status.ok()) {
    status = StartDue();
    if (!status.ok()) break;
    TellWhenUp();
    const auto event = launcher_.Wait(UntilNextStart());
    if (event) status = OnEvent(*event);
    if (draining_ || registry_address_.empty()) continue;
    if (const auto workers = roster_.Take()) Follow(*workers);
  }
  Drain();
  return status;
}

absl::Status Supervisor::StartDue() {
  const Instant now = clock_.Now();
  for (auto& [name, process] : processes_) {
    if (process.state != State::kWaiting || process.start_at > now) continue;
    process.started = now;
    const absl::Status status = launcher_.Launch(process.spec);
    if (status.ok()) {
      process.state = State::kStarting;
    } else if (Indispensable(process)) {
      return DidNotStart(process, std::string(status.message()));
    } else {
      process.failed = true;
      process.start_at = now + process.restart.AfterRun(absl::ZeroDuration());
      callbacks_.on_message(fmt::format("{}: {}", name, std::string(status.message())));
    }
  }
  return absl::OkStatus();
}

// Without it there is no fleet, and it has never been there.
bool Supervisor::Indispensable(const Process& process) {
  return process.role != kWorker && !process.was_ready;
}

absl::Status Supervisor::DidNotStart(const Process& process, const std::string& reason) {
  return absl::UnavailableError(fmt::format("the {} did not start: {}", process.role, reason));
}

absl::Duration Supervisor::UntilNextStart() const {
  absl::Duration wait = absl::InfiniteDuration();
  for (const auto& [name, process] : processes_) {
    if (process.state == State::kWaiting) {
      wait = std::min(wait, std::max(process.start_at - clock_.Now(), absl::ZeroDuration()));
    }
  }
  return wait;
}

absl::Status Supervisor::OnEvent(const LaunchEvent& event) {
  if (event.kind == LaunchEvent::Kind::kInterrupted) {
    draining_ = true;
    return absl::OkStatus();
  }
  const auto found = processes_.find(event.name);
  if (found == processes_.end()) return absl::OkStatus();
  absl::Status status;
  if (event.kind == LaunchEvent::Kind::kReady) {
    OnReady(found->second, event);
  } else {
    status = OnExited(found->second, event);
  }
  callbacks_.on_change(View());
  return status;
}

void Supervisor::OnReady(Process& process, const LaunchEvent& event) {
  process.state = State::kReady;
  process.address = event.address;
  process.operator_address = event.operator_address;
  process.pid = event.pid;
  if (process.was_ready) callbacks_.on_message(fmt::format("{} is back", process.spec.name));
  process.was_ready = true;
  if (process.role != kWorker) KeepAddress(process.spec, event.address);
  if (process.role == kRegistry && registry_address_.empty()) {
    registry_address_ = event.address;
    AddGateway();
    roster_.Begin(registry_address_);
  }
}

absl::Status Supervisor::OnExited(Process& process, const LaunchEvent& event) {
  process.state = State::kWaiting;
  process.pid = 0;
  const Instant now = clock_.Now();
  if (Indispensable(process)) {
    process.state = State::kEnded;
    return DidNotStart(process, event.reason + "; what it said is above");
  }
  if (process.unwanted) {
    callbacks_.on_message(fmt::format("{} is gone, as wished", process.spec.name));
    processes_.erase(std::string(process.spec.name));
    return absl::OkStatus();
  }
  if (std::exchange(process.stopped, false)) {  // and wanted again meanwhile
    process.start_at = now;
    return absl::OkStatus();
  }
  if (process.role == kWorker && event.exit_code == 0 && process.was_ready) {
    // Wished anew while it drained.
    if (roster_.WishAtDrain(process.worker_id).value_or(process.wish) != process.wish) {
      process.start_at = now;
      return absl::OkStatus();
    }
    process.state = State::kDrained;
    callbacks_.on_message(fmt::format(
        "{} has drained, as it was told to; load its model to have it back", process.spec.name));
    return absl::OkStatus();
  }
  const absl::Duration wait = process.restart.AfterRun(now - process.started);
  process.start_at = now + wait;
  if (process.was_ready || !process.failed) {
    callbacks_.on_message(fmt::format("{} {}; starting it again", process.spec.name, event.reason));
  }
  process.failed = true;
  return absl::OkStatus();
}

void Supervisor::TellWhenUp() {
  if (told_ || !has_roster_) return;
  for (const auto& [name, process] : processes_) {
    if (!process.was_ready && !process.failed) return;
  }
  told_ = true;
  callbacks_.on_up(View());
}

std::vector<ProcessView> Supervisor::View() const {
  std::vector<ProcessView> views;
  for (const auto& [name, process] : processes_) {
    views.push_back({process.role, name, process.model, process.address, process.operator_address,
                     process.pid, process.state == State::kReady});
  }
  return views;
}

void Supervisor::Drain() {
  for (auto& [name, process] : processes_) {
    if (process.state == State::kWaiting || process.state == State::kDrained) {
      process.state = State::kEnded;
    }
  }
  for (const char* role : {kGateway, kWorker, kRegistry}) StopAll(role);
}

// Returns when every process of that role is gone.
void Supervisor::StopAll(const std::string& role) {
  const auto left = [&] {
    return std::any_of(processes_.begin(), processes_.end(), [&](const auto& entry) {
      return entry.second.role == role && entry.second.state != State::kEnded;
    });
  };
  const auto each = [&](auto act) {
    for (auto& [name, process] : processes_) {
      if (process.role == role && process.state != State::kEnded) act(name);
    }
  };
  each([&](const std::string& name) { launcher_.Stop(name); });
  const Instant limit = clock_.Now() + kDrainLimit;
  bool killed = false;
  while (left()) {
    const auto event = launcher_.Wait(killed ? absl::InfiniteDuration() : limit - clock_.Now());
    if (event && event->kind == LaunchEvent::Kind::kExited) {
      const auto found = processes_.find(event->name);
      if (found != processes_.end()) found->second.state = State::kEnded;
    }
    if (!killed && clock_.Now() >= limit) {
      callbacks_.on_message(fmt::format("a {} did not drain in {}; ending it", role,
                                        absl::FormatDuration(kDrainLimit)));
      each([&](const std::string& name) { launcher_.Kill(name); });
      killed = true;
    }
  }
}

}  // namespace torchfleet::cli
