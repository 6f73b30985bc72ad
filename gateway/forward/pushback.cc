#include "gateway/forward/pushback.h"

#include "absl/strings/numbers.h"
#include "base/grpc_status.h"
#include "base/status.h"

namespace torchfleet::gateway {

Pushback ReadPushback(const net::GrpcStatus& status, const net::Headers* trailers) {
  if (const auto text = trailers ? trailers->Find(kPushbackHeader) : std::nullopt) {
    int64_t milliseconds = -1;
    if (!absl::SimpleAtoi({text->data(), text->size()}, &milliseconds) || milliseconds < 0) {
      return {.no_retry = true, .pause = absl::ZeroDuration()};
    }
    return {.pause = absl::Milliseconds(milliseconds)};
  }
  if (status.details.empty()) return {};
  const grpc::Status wire(static_cast<grpc::StatusCode>(status.code), status.message,
                          status.details);
  return {.pause = RetryDelay(FromGrpc(wire)).value_or(absl::ZeroDuration())};
}

}  // namespace torchfleet::gateway
