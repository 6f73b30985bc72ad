#pragma once
// Where a model's calls wait while every worker has as many as it is to have: so
// many at most, the most urgent first, of equals who came first, and nobody for
// longer than makes sense.
//
// Callers who wait for their answers before they call again form a line that does
// not grow: they may wait for kPatience. Once somebody has waited for so long in
// vain there are more calls than can be answered, and waiting only makes all of
// them late: from then on, until nobody has for a while, nobody waits for longer
// than kHurry. Full, it shows out the least urgent one that came last for one that
// is more urgent.
//
// Source: K. Nichols and V. Jacobson, "Controlling Queue Delay" (CoDel), 2012, as
// simplified by B. Maurer, "Fail at Scale", 2015; here a line that stands is no
// reason yet for hurry.
//
// Pure: time comes in as a value. Borrows the waiters. Not thread-safe.

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>

#include "absl/time/time.h"
#include "base/clock.h"

namespace torchfleet::gateway {

template <typename Waiter>
class WaitingRoom {
 public:
  static constexpr absl::Duration kPatience = absl::Milliseconds(250);
  static constexpr absl::Duration kHurry = absl::Milliseconds(2);
  static constexpr size_t kMost = 1024;

  // `urgency`: the lower the sooner. Who may not wait comes back: the newcomer,
  // somebody else in its place, or null.
  Waiter* Enter(Waiter& waiter, uint32_t urgency, Instant now) {
    Waiter* shown_out = nullptr;
    if (line_.size() >= kMost) {
      hurry_until_ = now + kPatience;
      const auto last = std::prev(line_.end());
      if (last->first.first <= urgency) return &waiter;
      shown_out = last->second.waiter;
      line_.erase(last);
    }
    line_.emplace(Place{urgency, count_++}, Entry{&waiter, now});
    return shown_out;
  }
  // It waits no more; it need not be here.
  void Leave(const Waiter& waiter) {
    for (auto entry = line_.begin(); entry != line_.end(); ++entry) {
      if (entry->second.waiter == &waiter) {
        line_.erase(entry);
        return;
      }
    }
  }
  // Who is next; null for nobody.
  Waiter* First() const { return line_.empty() ? nullptr : line_.begin()->second.waiter; }
  // Takes out one who has waited too long; null for nobody.
  Waiter* Overdue(Instant now) {
    const absl::Duration most = now < hurry_until_ ? kHurry : kPatience;
    for (auto entry = line_.begin(); entry != line_.end(); ++entry) {
      if (now - entry->second.since < most) continue;
      hurry_until_ = now + kPatience;
      return Take(entry);
    }
    return nullptr;
  }
  bool empty() const { return line_.empty(); }
  size_t size() const { return line_.size(); }

 private:
  using Place = std::pair<uint32_t, uint64_t>;
  struct Entry {
    Waiter* waiter;
    Instant since;
  };
  using Line = std::map<Place, Entry>;

  Waiter* Take(typename Line::iterator entry) {
    Waiter* const waiter = entry->second.waiter;
    line_.erase(entry);
    return waiter;
  }

  Line line_;
  uint64_t count_ = 0;
  Instant hurry_until_;
};

}  // namespace torchfleet::gateway
