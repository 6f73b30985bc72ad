#pragma once
// Follows the registry and publishes the fleet, a snapshot for every change.
//
// When the registry is away the last fleet stands: calls go on. One that has been
// away since the start, for kPatience, is stood in for by the fleet file of an
// earlier life, which the registry's first word treats as it does any fleet of an
// earlier incarnation. So it is when a registry answers at once, but is of another
// incarnation than the file: it may have come back a moment ago, and not every worker
// to it.
//
// Lifecycle: Start once; Stop (or destruction) returns when `publish` runs no
// more. Borrows the clock. `publish` is called on the watcher's thread or on
// the follower's own, which lets go of what was kept long enough; never twice
// at once.

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/time/time.h"
#include "base/clock.h"
#include "gateway/discover/fleet.h"
#include "gateway/discover/fleet_file.h"
#include "registry/client/watcher.h"

namespace torchfleet::gateway {

class FleetFollower {
 public:
  // How long a registry may take to answer before the fleet file does.
  static constexpr absl::Duration kPatience = absl::Seconds(1);

  struct Options {
    // host:port, or several with commas between.
    std::string registry;
    // Where the fleet is kept on disk; empty: nowhere.
    std::string fleet_file = {};
  };
  // The fleet, and what of it differs from the one before.
  using Publish = std::function<void(const FleetSnapshot&, const FleetChange&)>;

  FleetFollower(Options options, const Clock& clock, Publish publish);
  ~FleetFollower();

  void Start();
  void Stop();

  const std::atomic<bool>& connected() const { return connected_; }
  // When the fleet that calls see was last said by a registry, in seconds since
  // 1970; of one from the file, when that was written. 0: there is none yet.
  const std::atomic<double>& known_at() const { return known_at_; }

 private:
  void OnChange(const registry::v1::WatchResponse& response);
  void OnConnection(bool connected);
  void RunExpiry();
  // The next three with mu_ held.
  void StartFromFile();
  // The fleet on disk, where the registry that speaks first never knew it.
  void Recall(const std::string& incarnation);
  void Tell(const FleetChange& change);

  const Options options_;
  const Clock& clock_;
  const Publish publish_;
  std::atomic<bool> connected_ = false;
  std::atomic<double> known_at_ = 0;
  std::unique_ptr<FleetFileWriter> file_;

  std::mutex mu_;
  std::condition_variable changed_;
  // Guarded by mu_.
  Fleet fleet_;
  bool heard_ = false;
  bool stopped_ = false;

  registry::Watcher watcher_;
  std::thread expiry_;
};

}  // namespace torchfleet::gateway
