#pragma once
// How many rows come in a second, of late: each counts less with time, by the
// e-th part in `memory`. Pure. Not thread-safe.

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/clock.h"

namespace torchfleet::worker {

class ArrivalRate {
 public:
  void Add(int64_t rows, Instant now) {
    Forget(now);
    recent_ += static_cast<double>(rows);
  }
  // Rows expected within `duration`. Never less than there would be if nothing
  // had come for a while, and a sixteenth of a row too many at most where
  // `duration` is an eighth of the memory.
  double Within(absl::Duration duration, Instant now) {
    Forget(now);
    return recent_ * absl::FDivDuration(duration, memory_);
  }
  // Remembers for so long, and never for less than 20 ms.
  void Remember(absl::Duration memory, Instant now) {
    // What is forgotten already does not come back.
    Forget(now);
    memory = std::max(memory, absl::Milliseconds(20));
    recent_ *= absl::FDivDuration(memory, memory_);
    memory_ = memory;
  }

 private:
  void Forget(Instant now) {
    if (now <= last_) return;
    recent_ *= std::exp(-absl::FDivDuration(now - last_, memory_));
    last_ = now;
  }

  double recent_ = 0;
  absl::Duration memory_ = absl::Milliseconds(20);
  Instant last_;
};

}  // namespace torchfleet::worker
