#pragma once
// How long to wait before the next try: doubles from 50 ms to 2 s, and spreads
// each wait over half of it and all of it, so that a thousand clients which
// lost the same server do not come back at the same moment. Not thread-safe.

#include <algorithm>
#include <random>

#include "absl/time/time.h"

namespace torchfleet::registry {

class Backoff {
 public:
  explicit Backoff(uint32_t seed) : random_(seed) {}

  absl::Duration Next() {
    const absl::Duration wait = next_;
    next_ = std::min(2 * next_, absl::Seconds(2));
    return wait * std::uniform_real_distribution<>(0.5, 1.0)(random_);
  }
  void Reset() { next_ = absl::Milliseconds(50); }

 private:
  std::minstd_rand random_;
  absl::Duration next_ = absl::Milliseconds(50);
};

}  // namespace torchfleet::registry
