#include "gateway/forward/retry_policy.h"

namespace torchfleet::gateway {

bool RetryPolicy::IsConnectionFailure(const AttemptFailure& failure) {
  if (failure.answered) return false;
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

bool RetryPolicy::MayTryAnother(const AttemptFailure& failure) {
  return failure.answered ? failure.code == absl::StatusCode::kUnavailable
                          : IsConnectionFailure(failure);
}

}  // namespace torchfleet::gateway
