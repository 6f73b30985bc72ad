#include "base/clock.h"

#include <ctime>

namespace torchfleet {

Instant MonotonicClock::Now() const {
  timespec ts{};
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return Instant::FromStart(absl::DurationFromTimespec(ts));
}

}  // namespace torchfleet
