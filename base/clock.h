#pragma once
// Monotonic time as a value, and the clock that tells it.
//
// Leases, timeouts and deadlines run on this clock: it never steps back when
// somebody sets the date. Pure code takes an Instant; only roots own a Clock.

#include <compare>

#include "absl/time/time.h"

namespace torchfleet {

// A moment on the monotonic clock; its zero means nothing.
class Instant {
 public:
  constexpr Instant() = default;
  static Instant FromStart(absl::Duration since_start) { return Instant(since_start); }
  static Instant Infinite() { return Instant(absl::InfiniteDuration()); }

  absl::Duration since_start() const { return since_start_; }

  friend Instant operator+(Instant a, absl::Duration d) { return Instant(a.since_start_ + d); }
  friend Instant operator-(Instant a, absl::Duration d) { return Instant(a.since_start_ - d); }
  friend absl::Duration operator-(Instant a, Instant b) { return a.since_start_ - b.since_start_; }
  friend bool operator==(Instant a, Instant b) { return a.since_start_ == b.since_start_; }
  friend std::strong_ordering operator<=>(Instant a, Instant b) {
    return a.since_start_ < b.since_start_   ? std::strong_ordering::less
           : b.since_start_ < a.since_start_ ? std::strong_ordering::greater
                                             : std::strong_ordering::equal;
  }

 private:
  explicit Instant(absl::Duration d) : since_start_(d) {}
  absl::Duration since_start_;
};

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant Now() const = 0;
};

// CLOCK_MONOTONIC.
class MonotonicClock : public Clock {
 public:
  Instant Now() const override;
};

}  // namespace torchfleet
