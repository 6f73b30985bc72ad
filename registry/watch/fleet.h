#pragma once
// The fleet's state for many threads: follows the store, is asked by streams and
// sessions, and tells one listener that there is something new.
//
// Lifecycle: SetListener; then Store::Follow of it, and Unfollow before the end
// of either. Thread-safe; calls the listener without holding its lock, within
// the store's calls.

#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/clock.h"
#include "registry/state/fleet_state.h"
#include "registry/store/store.h"

namespace torchfleet::registry {

// Must not block.
class FleetListener {
 public:
  virtual ~FleetListener() = default;
  // The fleet's position has moved. `urgent`: more has changed than loads.
  virtual void OnChange(bool urgent) = 0;
  // These workers have a wish to drain; some may have been told before.
  virtual void OnDrainWishes(const std::vector<std::string>& worker_ids) = 0;
  // The store is away, or there again.
  virtual void OnAvailable(bool available) = 0;
};

class Fleet : public StoreListener {
 public:
  Fleet(FleetState::Options options, const Clock& clock) : clock_(clock), state_(options) {}

  // Before the store is followed.
  void SetListener(FleetListener& listener) { listener_ = &listener; }

  void OnItems(std::span<const Item> catalogue, std::span<const Item> live,
               const Position& position) override;
  void OnEvents(Space space, std::span<const Item> events, uint64_t revision) override;
  void OnAvailable(bool available) override;

  // f(state), under the lock.
  template <typename F>
  auto Read(F f) const {
    const std::lock_guard lock(mu_);
    return f(state_);
  }

  // How many workers are gone since it began to follow.
  uint64_t gone() const { return gone_; }
  // Whether it has heard of everything in the store once.
  bool known() const;
  // Since when the store is away; nothing when it is there.
  std::optional<Instant> away_since() const;

 private:
  void Tell(bool urgent, const FleetNews& news);

  const Clock& clock_;
  FleetListener* listener_ = nullptr;
  std::atomic<uint64_t> gone_ = 0;
  mutable std::mutex mu_;
  FleetState state_ ABSL_GUARDED_BY(mu_);
  std::optional<Instant> away_since_ ABSL_GUARDED_BY(mu_);
};

}  // namespace torchfleet::registry
