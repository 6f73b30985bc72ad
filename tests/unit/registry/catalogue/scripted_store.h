#pragma once
// A store that does what a test says, when it says it: calls are kept until the
// test answers them. On the test's thread alone.

#include <deque>
#include <utility>

#include "registry/store/store.h"

namespace torchfleet::registry {

class ScriptedStore : public Store {
 public:
  void Commit(Transaction transaction, Committed done) override {
    commits.emplace_back(std::move(transaction), std::move(done));
  }
  void Latest(Committed done) override { latests.push_back(std::move(done)); }
  void Grant(absl::Duration, Granted done) override { done(absl::UnimplementedError("no leases")); }
  void Renew(LeaseId, Done done) override { done(absl::UnimplementedError("no leases")); }
  void Revoke(LeaseId, Done done) override { done(absl::UnimplementedError("no leases")); }
  void Follow(StoreListener& follower) override { listener = &follower; }
  void Unfollow(StoreListener&) override { listener = nullptr; }

  // Answers the oldest.
  void AnswerCommit(absl::StatusOr<uint64_t> answer) {
    auto done = std::move(commits.front().second);
    commits.pop_front();
    done(std::move(answer));
  }
  void AnswerLatest(absl::StatusOr<uint64_t> answer) {
    auto done = std::move(latests.front());
    latests.pop_front();
    done(std::move(answer));
  }

  StoreListener* listener = nullptr;
  std::deque<std::pair<Transaction, Committed>> commits;
  std::deque<Committed> latests;
};

}  // namespace torchfleet::registry
