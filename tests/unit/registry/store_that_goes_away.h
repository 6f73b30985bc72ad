#pragma once
// A store in memory that can be away, as one over a network can.

#include <atomic>

#include "registry/store/memory_store.h"

namespace torchfleet::registry {

class StoreThatGoesAway : public Store {
 public:
  explicit StoreThatGoesAway(const Clock& clock) : store_(clock) {}

  void SetAway(bool away) {
    away_ = away;
    if (StoreListener* listener = listener_) listener->OnAvailable(!away);
  }

  void Commit(Transaction transaction, Committed done) override {
    if (away_) return done(Away());
    store_.Commit(std::move(transaction), std::move(done));
  }
  void Grant(absl::Duration ttl, Granted done) override {
    if (away_) return done(Away());
    store_.Grant(ttl, std::move(done));
  }
  void Renew(LeaseId lease, Done done) override {
    if (away_) return done(Away());
    store_.Renew(lease, std::move(done));
  }
  void Revoke(LeaseId lease, Done done) override {
    if (away_) return done(Away());
    store_.Revoke(lease, std::move(done));
  }
  void Latest(Committed done) override {
    if (away_) return done(Away());
    store_.Latest(std::move(done));
  }
  void Follow(StoreListener& listener) override {
    listener_ = &listener;
    store_.Follow(listener);
  }
  void Unfollow(StoreListener& listener) override {
    listener_ = nullptr;
    store_.Unfollow(listener);
  }

 private:
  static absl::Status Away() { return absl::UnavailableError("the store is away"); }

  std::atomic<bool> away_ = false;
  std::atomic<StoreListener*> listener_ = nullptr;
  MemoryStore store_;
};

}  // namespace torchfleet::registry
