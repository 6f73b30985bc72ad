#pragma once
// How many calls of this gateway an endpoint may have at once, found from how
// long its answers take beside how long they take when nothing waits: when they
// take too long there are too many, by that ratio; else there may be more.
//
// A call may wait as long as it runs, or kWait, whichever is longer: what waits
// for less is no overload, whatever the ratio. And never fewer calls than fill
// the worker's batches twice, one that runs and one that waits, and what it answers
// while the gateway sends the next; nor, where the worker says how many it runs at
// once, more than it could answer in the time allowed, so that no queue grows before
// the ratio shows it.
//
// Source: the gradient of Netflix's concurrency-limits, with that floor and that
// allowance.
//
// Pure.

#include <cstdint>

#include "absl/time/time.h"

namespace torchfleet::gateway {

struct ConcurrencyFigures {
  int64_t limit = 0;
  int64_t outstanding = 0;
  // Calls that are not ours.
  double others = 0;
  // Calls it can run at once; 0 when it does not say.
  uint32_t capacity = 0;
  // Microseconds, mean of the last second's answers; 0 for none.
  double latency = 0;
  // Microseconds of a call that does not wait, as far as is known; 0 for not.
  double baseline = 0;
};

class ConcurrencyPolicy {
 public:
  static constexpr absl::Duration kWait = absl::Milliseconds(2);
  // What the gateway takes to send the next call, when busy; at most kMostSent calls
  // are there for it.
  static constexpr absl::Duration kSending = absl::Milliseconds(1);
  static constexpr double kMostSent = 8;
  // Of a worker that does not say how many it can run.
  static constexpr int64_t kLeastUnknown = 64;

  // Microseconds that an answer may take.
  static double Allowed(double baseline);
  // The fewest that the limit goes down to.
  static int64_t Floor(const ConcurrencyFigures& figures);
  // The most that it may be, whatever the latency of late.
  static int64_t Ceiling(const ConcurrencyFigures& figures);
  static int64_t NextLimit(const ConcurrencyFigures& figures);
  static double NextBaseline(const ConcurrencyFigures& figures);
};

}  // namespace torchfleet::gateway
