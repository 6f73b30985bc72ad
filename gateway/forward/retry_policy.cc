#include "gateway/forward/retry_policy.h"

namespace torchfleet::gateway {

bool RetryPolicy::IsConnectionFailure(const AttemptFailure& failure) {
  if (failure.source == FailureSource::kWorker) return false;
  switch (failure.code) {
    case absl::StatusCode::kUnavailable:
    // A stream that breaks off ends in one of these.
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
      return true;
    // The caller's own doing, or its deadline.
    default:
      return false;
  }
}

bool RetryPolicy::MayTryAnother(const AttemptFailure& failure, bool idempotent) {
  if (failure.no_retry) return false;
  if (failure.source == FailureSource::kWorker) {
    return failure.code == absl::StatusCode::kUnavailable;
  }
  return IsConnectionFailure(failure) &&
         (idempotent || failure.source == FailureSource::kNeverSent);
}

FailureMeaning RetryPolicy::Meaning(const AttemptFailure& failure) {
  if (failure.source != FailureSource::kWorker) {
    if (!IsConnectionFailure(failure)) return FailureMeaning::kNothing;
    return failure.source == FailureSource::kNeverSent ? FailureMeaning::kUnreachable
                                                       : FailureMeaning::kLost;
  }
  switch (failure.code) {
    case absl::StatusCode::kUnavailable:
      return FailureMeaning::kRefused;
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kResourceExhausted:
      return FailureMeaning::kModelFailed;
    default:
      return FailureMeaning::kRequest;
  }
}

}  // namespace torchfleet::gateway
