#pragma once
// Where a model's calls wait while every worker has as many as it is to have, or the
// model as many as its route allows: the most urgent first, of equals who came first,
// and nobody for longer than makes sense.
//
// Callers who wait for their answers before they call again form a line that does
// not grow: they may wait for kPatience. Once somebody has waited for so long in
// vain there are more calls than can be answered, and waiting only makes all of
// them late: from then on, until nobody has for a while, nobody waits for longer
// than kHurry, but who brings a patience of its own. Full, it shows out the least
// urgent one that came last for one that is more urgent.
//
// Source: K. Nichols and V. Jacobson, "Controlling Queue Delay" (CoDel), 2012, as
// simplified by B. Maurer, "Fail at Scale", 2015; here a line that stands is no
// reason yet for hurry.
//
// Pure: time comes in as a value. Borrows the waiters. Not thread-safe.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "base/clock.h"

namespace torchfleet::gateway {

template <typename Waiter>
class WaitingRoom {
 public:
  static constexpr absl::Duration kPatience = absl::Milliseconds(250);
  static constexpr absl::Duration kHurry = absl::Milliseconds(2);

  // How somebody waits.
  struct Terms {
    // The lower the sooner.
    uint32_t urgency = 1;
    // However others fare. Not set: for kPatience, or kHurry.
    std::optional<absl::Duration> patience = std::nullopt;
    // There is no room for one more.
    bool full = false;
  };

  // Who may not wait comes back: the newcomer, somebody else in its place, or null.
  // Never null when it is full.
  Waiter* Enter(Waiter& waiter, const Terms& terms, Instant now) {
    Waiter* shown_out = nullptr;
    if (terms.full) {
      Hurry(now);
      if (line_.empty()) return &waiter;
      const auto last = std::prev(line_.end());
      if (last->first.first <= terms.urgency) return &waiter;
      shown_out = last->second.waiter;
      line_.erase(last);
    }
    line_.emplace(Place{terms.urgency, count_++}, Entry{&waiter, now, terms.patience});
    soonest_ = std::min(soonest_, now + terms.patience.value_or(kHurry));
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
    if (now < soonest_) return nullptr;
    const absl::Duration usual = now < hurry_until_ ? kHurry : kPatience;
    Instant soonest = Instant::Infinite();
    for (auto entry = line_.begin(); entry != line_.end(); ++entry) {
      const Instant due = entry->second.since + entry->second.patience.value_or(usual);
      if (due <= now) {
        Hurry(now);
        return Take(entry);
      }
      soonest = std::min(soonest, due);
    }
    soonest_ = soonest;
    return nullptr;
  }
  bool empty() const { return line_.empty(); }
  size_t size() const { return line_.size(); }

 private:
  using Place = std::pair<uint32_t, uint64_t>;
  struct Entry {
    Waiter* waiter;
    Instant since;
    std::optional<absl::Duration> patience;
  };
  using Line = std::map<Place, Entry>;

  void Hurry(Instant now) {
    if (hurry_until_ <= now) soonest_ = Instant();
    hurry_until_ = now + kPatience;
  }
  Waiter* Take(typename Line::iterator entry) {
    Waiter* const waiter = entry->second.waiter;
    line_.erase(entry);
    return waiter;
  }

  Line line_;
  uint64_t count_ = 0;
  Instant hurry_until_;
  // Before then nobody has waited for too long.
  Instant soonest_ = Instant::Infinite();
};

}  // namespace torchfleet::gateway
