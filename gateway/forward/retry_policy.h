#pragma once
// Decides what an attempt that failed means: for the call, another replica or the
// caller; for the worker, whether it is at fault.
//
// A call that never reached a model may always go elsewhere. One whose worker
// vanished before it answered may run again if its model is idempotent, as
// inference is unless somebody says otherwise. What a worker answered itself is
// final, but for UNAVAILABLE, by which it says that no model ran.
//
// Pure.

#include <cstdint>

#include "absl/status/status.h"

namespace torchfleet::gateway {

// One call is tried at most so often, each time on another replica.
inline constexpr int kMaxAttempts = 3;

// Whose word a failure is.
enum class FailureSource : uint8_t {
  // The status came over the wire.
  kWorker,
  // The connection broke with the call on it.
  kBroken,
  // The call never left: there was no connection to be had.
  kNeverSent,
};

// How an attempt failed.
struct AttemptFailure {
  absl::StatusCode code = absl::StatusCode::kUnknown;
  FailureSource source = FailureSource::kBroken;
  // The worker asked not to be tried again, nor any other in its place.
  bool no_retry = false;
};

// What a failure says of the worker.
enum class FailureMeaning : uint8_t {
  kUnreachable,
  kLost,
  // It took no call: full, loading or draining.
  kRefused,
  // The model failed.
  kModelFailed,
  // The request is at fault; the worker is well.
  kRequest,
  // Our own doing, or the caller's.
  kNothing,
};

class RetryPolicy {
 public:
  // The worker could not be reached, or vanished before it answered.
  static bool IsConnectionFailure(const AttemptFailure& failure);
  // Whether another replica may be tried.
  static bool MayTryAnother(const AttemptFailure& failure, bool idempotent = true);
  static FailureMeaning Meaning(const AttemptFailure& failure);
};

}  // namespace torchfleet::gateway
