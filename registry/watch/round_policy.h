#pragma once
// When watchers are told next. What calls depend on goes out at once where it
// has been quiet, else as soon as rounds are an interval apart; loads, which
// change all the time and which nobody needs to the moment, wait longer for
// company. A round tells everything.
//
// With many watchers a round takes long. Then rounds are so far apart that they
// take a tenth of a core, as long as that is not too far for calls. Pure.

#include <algorithm>
#include <optional>

#include "base/clock.h"

namespace torchfleet::registry {

class RoundPolicy {
 public:
  struct Options {
    absl::Duration interval = absl::Milliseconds(10);
    absl::Duration longest_interval = absl::Milliseconds(30);
    absl::Duration load_interval = absl::Milliseconds(100);
  };

  explicit RoundPolicy(Options options) : options_(options), interval_(options.interval) {}

  // The earliest moment for the next round. `urgent`: there is more to tell than
  // loads.
  Instant Next(bool urgent) const {
    if (!last_) return Instant();
    return *last_ + (urgent ? interval_ : std::max(interval_, options_.load_interval));
  }
  void Ran(Instant began, Instant ended) {
    last_ = began;
    interval_ = std::clamp(10 * (ended - began), options_.interval,
                           std::max(options_.interval, options_.longest_interval));
  }

 private:
  const Options options_;
  absl::Duration interval_;
  // When the last round began.
  std::optional<Instant> last_;
};

}  // namespace torchfleet::registry
