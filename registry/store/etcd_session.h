#pragma once
// What EtcdStore does, on its own thread: calls, the mirror, renewals, and those
// who follow or wait.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "registry/store/etcd_calls.h"
#include "registry/store/etcd_keep_alive.h"
#include "registry/store/etcd_mirror.h"
#include "registry/store/revision_waiters.h"

namespace torchfleet::registry {

// Lifecycle: begins at once; WaitOpen before the first call; destruction stops
//   everything.
// Thread-safe where said; the rest happens on the loop.
class EtcdSession : private EtcdMirror::Observer {
 public:
  EtcdSession(const EtcdAddress& address, const Clock& clock);
  ~EtcdSession() override;

  // Thread-safe. Returns when everything is there and watched, or why it is not.
  absl::Status WaitOpen(absl::Duration limit);

  // Thread-safe; as Store's.
  void Commit(Transaction transaction, Store::Committed done);
  void Grant(absl::Duration ttl, Store::Granted done);
  void Renew(LeaseId lease, Store::Done done);
  void Revoke(LeaseId lease, Store::Done done);
  void Latest(Store::Committed done);
  void Follow(StoreListener& listener);
  void Unfollow(StoreListener& listener);

 private:
  void OnListed() override;
  void OnChanges(Space space, std::span<const Item> events, uint64_t revision) override;
  void OnReached(uint64_t revision) override;
  void OnWatching(bool watching, const absl::Status& why) override;

  void OnCommitted(const Transaction& transaction, const Store::Committed& done,
                   absl::StatusOr<etcdserverpb::TxnResponse> response);
  // Goes on when followers have been told of that revision.
  void Await(uint64_t revision, RevisionWaiters::Done done);
  // Looks after those who wait, as long as anybody does.
  void LookAfterWaiters();
  void Tick();

  // CANCELLED instead of any error once it closes.
  absl::Status Explain(const absl::Status& status) const;
  void TellItems(StoreListener& listener) const;
  template <typename Tell>
  void TellAll(Tell tell);

  const Clock& clock_;
  const EtcdKeys keys_;
  const std::string prefix_;
  const std::string members_;
  TaskLoop loop_;

  // Only on the loop.
  EtcdCalls calls_;
  EtcdMirror mirror_;
  EtcdKeepAlive keep_alive_;
  RevisionWaiters waiters_;
  std::vector<StoreListener*> listeners_;
  // Of the last position that was told.
  uint64_t told_ = 0;
  bool looking_ = false;
  bool ticking_ = false;
  bool available_ = false;
  bool stopping_ = false;

  std::mutex mu_;
  std::condition_variable changed_;
  bool open_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status last_error_ ABSL_GUARDED_BY(mu_);
};

}  // namespace torchfleet::registry
