#pragma once
// When a process that ended is started again. Pure.
//
// The first restart follows after 100 ms; each further one waits twice as long,
// up to 10 s. A process that ran for 10 s begins anew.

#include <algorithm>

#include "absl/time/time.h"

namespace torchfleet::cli {

class RestartPolicy {
 public:
  // How long to wait after a run of `ran`.
  absl::Duration AfterRun(absl::Duration ran) {
    if (ran >= absl::Seconds(10)) next_ = kFirst;
    const absl::Duration wait = next_;
    next_ = std::min(2 * next_, absl::Seconds(10));
    return wait;
  }

 private:
  static constexpr absl::Duration kFirst = absl::Milliseconds(100);
  absl::Duration next_ = kFirst;
};

}  // namespace torchfleet::cli
