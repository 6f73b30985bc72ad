#pragma once
// Time that stands still while the process is stopped. Pure.
//
// A registry that was stopped, or swapped out, could not hear renewals: what
// passed meanwhile must not count against leases. The lease thread looks at the
// clock at least once per kPulse; where nobody has looked for longer than
// kLongestPause, the process slept.

#include "base/clock.h"

namespace torchfleet::registry {

class AwakeTime {
 public:
  static constexpr absl::Duration kPulse = absl::Milliseconds(250);
  static constexpr absl::Duration kLongestPause = absl::Seconds(1);

  explicit AwakeTime(Instant now) : last_(now) {}

  // `now` without what was slept. Never goes back.
  Instant At(Instant now) {
    if (now - last_ > kLongestPause) slept_ += now - last_;
    if (now > last_) last_ = now;
    return last_ - slept_;
  }

  absl::Duration slept() const { return slept_; }

 private:
  Instant last_;
  absl::Duration slept_;
};

}  // namespace torchfleet::registry
