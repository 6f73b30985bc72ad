#pragma once
// A store in this process's memory; what it knows is gone when it goes.
//
// Values are shared with followers, never copied. Leases run on the borrowed
// clock and stand still while the process is stopped (AwakeTime).
//
// Lifecycle: as Store's. Borrows the clock.
// Thread-safe.

#include <condition_variable>
#include <mutex>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "registry/store/awake_time.h"
#include "registry/store/deliveries.h"
#include "registry/store/key_space.h"

namespace torchfleet::registry {

class MemoryStore : public Store {
 public:
  // A beginning after that of any earlier life, given that the date was not set
  // back by more than that life lasted: microseconds since 1970.
  static KeySpace::Beginning NewLife();

  explicit MemoryStore(const Clock& clock, KeySpace::Beginning beginning = NewLife());
  ~MemoryStore() override;

  void Commit(Transaction transaction, Committed done) override;
  void Grant(absl::Duration ttl, Granted done) override;
  void Renew(LeaseId lease, Done done) override;
  void Revoke(LeaseId lease, Done done) override;
  void Latest(Committed done) override;
  void Follow(StoreListener& listener) override;
  void Unfollow(StoreListener& listener) override;

  // Of the position.
  uint64_t revision() const;

 private:
  void RunLeases();

  const Clock& clock_;
  const std::string incarnation_;

  mutable std::mutex mu_;
  std::condition_variable changed_;
  KeySpace keys_ ABSL_GUARDED_BY(mu_);
  AwakeTime awake_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  // Its own synchronisation; queued to under mu_, so in the order of changes.
  Deliveries deliveries_;
  std::thread lease_thread_;
};

}  // namespace torchfleet::registry
