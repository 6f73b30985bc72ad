#pragma once
// Follows the registry and publishes the fleet, a snapshot for every change.
//
// When the registry is away the last fleet stands: calls go on.
//
// Lifecycle: Start once; Stop (or destruction) returns when `publish` runs no
// more. Borrows the clock. `publish` is called on the watcher's thread or on
// the follower's own, which lets go of what was kept long enough; never twice
// at once.

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.h"
#include "gateway/discover/fleet.h"
#include "registry/client/watcher.h"

namespace torchfleet::gateway {

class FleetFollower {
 public:
  using Publish = std::function<void(FleetSnapshot)>;

  FleetFollower(const std::string& registry_address, const Clock& clock, Publish publish);
  ~FleetFollower();

  void Start();
  void Stop();

  const std::atomic<bool>& connected() const { return connected_; }

 private:
  void OnChange(const registry::v1::WatchResponse& response);
  void OnConnection(bool connected);
  void ExpireLoop();

  const Clock& clock_;
  const Publish publish_;
  std::atomic<bool> connected_ = false;

  std::mutex mu_;
  std::condition_variable changed_;
  // Guarded by mu_.
  Fleet fleet_;
  bool stopped_ = false;

  registry::Watcher watcher_;
  std::thread expiry_;
};

}  // namespace torchfleet::gateway
