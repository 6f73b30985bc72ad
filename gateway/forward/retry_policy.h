#pragma once
// Decides what becomes of an attempt that failed: another replica, or the
// caller.
//
// Models are idempotent: a call whose worker vanished before it answered may
// run again elsewhere. What a worker answered itself is final, but for
// UNAVAILABLE, by which it says that no model ran.
//
// Pure.

#include "absl/status/status.h"

namespace torchfleet::gateway {

// One call is tried at most so often, each time on another replica.
inline constexpr int kMaxAttempts = 3;

// How an attempt failed.
struct AttemptFailure {
  absl::StatusCode code = absl::StatusCode::kUnknown;
  // The status came over the wire, not from our own side of the connection.
  bool answered = false;
};

class RetryPolicy {
 public:
  // The worker could not be reached, or vanished before it answered.
  static bool IsConnectionFailure(const AttemptFailure& failure);
  // Whether another replica may be tried.
  static bool MayTryAnother(const AttemptFailure& failure);
};

}  // namespace torchfleet::gateway
