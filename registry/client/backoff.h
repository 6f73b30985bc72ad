#pragma once
// How long to wait before the next try, so that a thousand clients which lost the
// same server do not come back at the same moment. Not thread-safe.
//
// A wait is anything from nothing to a bound ("full jitter": M. Brooker,
// "Exponential Backoff and Jitter", 2015), which doubles from 100 ms to 2 s.

#include <algorithm>
#include <random>

#include "absl/time/time.h"

namespace torchfleet::registry {

class Backoff {
 public:
  explicit Backoff(uint32_t seed) : random_(seed) {}

  // After a try that failed.
  absl::Duration Next() {
    const absl::Duration bound = bound_;
    bound_ = std::min(2 * bound_, absl::Seconds(2));
    return Within(bound);
  }
  // Some part of `window`: for the first try after something that all feel at
  // once.
  absl::Duration Within(absl::Duration window) {
    return window * std::uniform_real_distribution<>(0.0, 1.0)(random_);
  }
  void Reset() { bound_ = kFirst; }

 private:
  static constexpr absl::Duration kFirst = absl::Milliseconds(100);

  std::minstd_rand random_;
  absl::Duration bound_ = kFirst;
};

}  // namespace torchfleet::registry
