#pragma once
// What a worker that takes no call says of when to come back: the trailer
// grpc-retry-pushback-ms, or RetryInfo in the status' details. Pure.
//
// Source: "gRPC Retry Design" (proposal A6): a pushback that is negative or no
// number means that the call is not to be tried again.

#include <string_view>

#include "absl/time/time.h"
#include "net/grpc/status.h"
#include "net/http/headers.h"

namespace torchfleet::gateway {

struct Pushback {
  bool no_retry = false;
  // Zero when it did not say.
  absl::Duration pause;
};

inline constexpr std::string_view kPushbackHeader = "grpc-retry-pushback-ms";

// `trailers`: null for none.
Pushback ReadPushback(const net::GrpcStatus& status, const net::Headers* trailers);

}  // namespace torchfleet::gateway
