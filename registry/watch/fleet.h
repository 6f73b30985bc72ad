#pragma once
// The registry's state for many threads: serialises changes, ends leases in
// time, and wakes watchers.
//
// A watcher is only a cursor kept by its stream; the fleet keeps nothing for
// it, so a slow one costs no memory.
//
// Lifecycle: destroyed after the last watcher has unsubscribed. Borrows clock
// and store. Thread-safe; calls watchers without holding its lock.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "registry/state/registry_state.h"
#include "registry/store/epoch_counter.h"

namespace torchfleet::registry {

// Told when there is something new. Called from any thread, also from several
// at once; must not block.
class FleetListener {
 public:
  virtual ~FleetListener() = default;
  virtual void OnChange() = 0;
};

// What the fleet has done since it began, and how it stands.
struct FleetFigures {
  uint64_t registrations = 0, renewals = 0, expired = 0;
  uint64_t revision = 0;
  size_t starting = 0, ready = 0, draining = 0, watchers = 0;
};

class Fleet {
 public:
  Fleet(RegistryState::Options options, const Clock& clock, EpochCounter& store);
  ~Fleet();

  // As RegistryState's, with the epoch from the store.
  absl::StatusOr<uint64_t> Register(const v1::Worker& worker, v1::WorkerState state,
                                    const v1::Load& load);
  // The revision after it.
  absl::StatusOr<uint64_t> Renew(const std::string& worker_id,
                                 const v1::AnnounceRequest::Renew& renew);
  absl::StatusOr<uint64_t> Leave(const std::string& worker_id,
                                 const v1::AnnounceRequest::Leave& leave);

  absl::Duration ttl() const;
  v1::WatchResponse Since(const std::string& incarnation, uint64_t after_revision) const;
  uint64_t revision() const;
  FleetFigures figures() const;

  void Subscribe(std::shared_ptr<FleetListener> listener);
  void Unsubscribe(const FleetListener* listener);

 private:
  void Tell();
  void EndLeases();

  const Clock& clock_;
  EpochCounter& store_;
  mutable std::mutex mu_;
  std::condition_variable lease_begun_;
  RegistryState state_ ABSL_GUARDED_BY(mu_);
  FleetFigures figures_ ABSL_GUARDED_BY(mu_);
  std::vector<std::shared_ptr<FleetListener>> listeners_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread lease_thread_;
};

}  // namespace torchfleet::registry
