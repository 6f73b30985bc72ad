#pragma once
// When watchers are told next: at once where it has been quiet, else so long
// after the last round that rounds stay apart by an interval. Pure.

#include "base/clock.h"

namespace torchfleet::registry {

class RoundPolicy {
 public:
  explicit RoundPolicy(absl::Duration interval) : interval_(interval) {}

  // The earliest moment for the next round.
  Instant Next() const { return next_; }
  void Began(Instant now) { next_ = now + interval_; }

 private:
  const absl::Duration interval_;
  Instant next_;
};

}  // namespace torchfleet::registry
