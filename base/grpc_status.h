#pragma once
// absl::Status at gRPC's edge and back, with google.rpc details: BadRequest for
// WithBadField, RetryInfo for WithRetryDelay.

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace torchfleet {

// Messages are cut to kMaxErrorText on the way out.
grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace torchfleet
