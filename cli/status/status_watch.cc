#include "cli/status/status_watch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "base/clock.h"
#include "base/shutdown.h"
#include "base/status.h"
#include "cli/client/fleet_mirror.h"
#include "cli/client/registry_client.h"
#include "cli/exit_codes.h"
#include "cli/state/fleet_file.h"
#include "cli/status/fleet_text.h"
#include "cli/status/gateway_look.h"
#include "registry/client/watcher.h"

namespace torchfleet::cli {
namespace {

constexpr absl::Duration kLongest = absl::Seconds(1);
// Changes that come together are shown together.
constexpr absl::Duration kShortest = absl::Milliseconds(100);

// What the watcher's thread tells and the display's thread shows.
class WatchedFleet {
 public:
  void Apply(const registry::v1::WatchResponse& change) {
    const std::lock_guard lock(mu_);
    mirror_.Apply(change);
    seen_ = changed_ = true;
  }
  void SetConnected(bool connected) {
    const std::lock_guard lock(mu_);
    changed_ = changed_ || connected_ != connected;
    connected_ = connected;
  }

  // Whether something has changed since the last time.
  bool TakeChanged() {
    const std::lock_guard lock(mu_);
    return std::exchange(changed_, false);
  }
  bool seen() {
    const std::lock_guard lock(mu_);
    return seen_;
  }
  std::string Text(const StatusOptions& options, const FleetFigures& figures) {
    // The fleet that runs here starts its processes again at will.
    const FleetFile file =
        options.registry.empty() ? ReadFleetFile().value_or(FleetFile()) : FleetFile();
    const std::lock_guard lock(mu_);
    auto rows = FleetRows(file, mirror_.Snapshot());
    AddFigures(figures, rows);
    if (options.format == "json") return FleetAsJson(rows, figures);
    return FleetAsTable(rows, figures, WantsColour(STDOUT_FILENO)) +
           (connected_ ? "" : "the registry is away; that is what it said last\n");
  }

 private:
  std::mutex mu_;
  FleetMirror mirror_ ABSL_GUARDED_BY(mu_);
  bool seen_ ABSL_GUARDED_BY(mu_) = false;
  bool changed_ ABSL_GUARDED_BY(mu_) = false;
  bool connected_ ABSL_GUARDED_BY(mu_) = true;
};

// What gateways say, asked no more often than it changes anything that is shown.
class WatchedGateways {
 public:
  explicit WatchedGateways(const StatusOptions& options) : options_(options) {}

  const FleetFigures& Get() {
    if (looked_ && clock_.Now() - at_ < kLongest) return figures_;
    FleetFigures now = LookAtGateways(options_.operators, options_.registry,
                                      std::min(options_.timeout, kLongest / 2));
    const Instant at = clock_.Now();
    if (looked_) SetRates(figures_, at - at_, now);
    figures_ = std::move(now);
    at_ = at;
    looked_ = true;
    return figures_;
  }

 private:
  const StatusOptions& options_;
  const MonotonicClock clock_;
  FleetFigures figures_;
  bool looked_ = false;
  Instant at_;
};

// Whether anybody still reads it.
bool Show(const std::string& text, bool terminal) {
  if (terminal) {
    fmt::print("\033[H\033[2J{}\nCtrl-C ends it.\n", text);
  } else {
    fmt::print("{}\n", text);
  }
  return std::fflush(stdout) == 0;
}

}  // namespace

absl::Status WatchStatus(const StatusOptions& options) {
  // Before there are other threads, which would take its signals.
  ShutdownSignal signal;
  ASSIGN_OR_RETURN(const std::string addresses, RegistryAddresses(options.registry));
  RETURN_IF_ERROR(FleetSnapshot(addresses, options.timeout).status());
  WatchedFleet fleet;
  registry::Watcher watcher(
      addresses, {.on_change = [&](const auto& change) { fleet.Apply(change); },
                  .on_connection = [&](bool connected) { fleet.SetConnected(connected); }});
  watcher.Start();
  const MonotonicClock clock;
  WatchedGateways gateways(options);
  const bool terminal = isatty(STDOUT_FILENO) == 1;
  Instant shown;
  // Nothing wakes a wait for signals when the fleet changes.
  while (signal.WaitFor(kShortest) == 0) {
    const bool due = fleet.seen() && clock.Now() - shown >= kLongest;
    if (!fleet.TakeChanged() && !due) continue;
    if (!Show(fleet.Text(options, gateways.Get()), terminal)) break;
    shown = clock.Now();
  }
  watcher.Stop();
  return absl::OkStatus();
}

}  // namespace torchfleet::cli
