#include "gateway/protocol/rest/http_status.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/cord.h"
#include "base/status.h"

namespace torchfleet::gateway::rest {
namespace {

constexpr char kTooLargeUrl[] = "torchfleet/too_large";

int CodeOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return 200;
    case absl::StatusCode::kCancelled:
      return 499;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
      return 400;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kAborted:
      return 409;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnimplemented:
      return 501;
    case absl::StatusCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

}  // namespace

HttpError HttpErrorOf(const absl::Status& status) {
  if (status.GetPayload(kTooLargeUrl)) return {.code = 413, .retry_after = {}};
  HttpError error = {.code = CodeOf(status.code()), .retry_after = {}};
  if (error.code == 503 || error.code == 429) {
    const absl::Duration delay = RetryDelay(status).value_or(absl::Seconds(1));
    const int64_t seconds = absl::ToInt64Seconds(absl::Ceil(delay, absl::Seconds(1)));
    error.retry_after = std::to_string(std::max<int64_t>(seconds, 1));
  }
  return error;
}

absl::Status TooLargeError(std::string_view text) {
  absl::Status status = absl::ResourceExhaustedError(std::string(text));
  status.SetPayload(kTooLargeUrl, absl::Cord());
  return status;
}

std::string ErrorDocument(std::string_view text) {
  // Clip leaves nothing that is not UTF-8.
  return nlohmann::json{{"error", Clip(text, kMaxErrorText)}}.dump();
}

}  // namespace torchfleet::gateway::rest
