#pragma once
// How many workers a version of a model needs by the load. Pure.
//
// As many as keep the calls that are in flight at three quarters of what the
// workers can run at once. More come at once; fewer only when less was enough for
// the whole of a hold-down, and then as many as its busiest moment needed.

#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "base/clock.h"

namespace torchfleet::cli {

struct ScaleBounds {
  int least = 1;
  int most = 1;
};

// In sum over the workers that take calls, as they said last.
struct ScaleSignal {
  int workers = 0;
  // Running and queued.
  uint64_t in_flight = 0;
  // Calls that they can run at once.
  uint64_t capacity = 0;

  friend bool operator==(const ScaleSignal&, const ScaleSignal&) = default;
};

class ScalePolicy {
 public:
  // `first`: how many there are to begin with.
  ScalePolicy(int first, absl::Duration hold_down) : count_(first), hold_down_(hold_down) {}

  // How many there are to be from now on. While no worker takes calls nobody
  // knows the demand, and it stays as it is within the bounds.
  int Decide(const ScaleSignal& signal, ScaleBounds bounds, Instant now);

  int count() const { return count_; }

  // What the demand alone asks for; nothing when nobody knows it.
  static std::optional<int> Desired(const ScaleSignal& signal);

 private:
  int count_;
  const absl::Duration hold_down_;
  // Since when fewer would do, and the most that were needed since.
  std::optional<Instant> fewer_since_;
  int most_needed_ = 0;
};

}  // namespace torchfleet::cli
