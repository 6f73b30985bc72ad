#pragma once
// Those who wait until followers have been told up to a revision. Pure: who may
// go on is called by whoever says so; time comes in as a value.

#include <functional>
#include <map>
#include <utility>

#include "absl/status/status.h"
#include "base/clock.h"

namespace torchfleet::registry {

class RevisionWaiters {
 public:
  using Done = std::function<void(const absl::Status&)>;

  void Add(uint64_t revision, Instant now, Done done) {
    waiting_.emplace(revision, Waiter{now, std::move(done)});
  }

  // Everybody up to `revision` goes on.
  void Reach(uint64_t revision);
  // Those who came before that moment give up with `status`.
  void GiveUp(Instant before, const absl::Status& status);

  bool empty() const { return waiting_.empty(); }
  // Somebody came before that moment.
  bool AnyBefore(Instant moment) const;

 private:
  struct Waiter {
    Instant since;
    Done done;
  };
  std::multimap<uint64_t, Waiter> waiting_;
};

}  // namespace torchfleet::registry
