#include "gateway/protocol/rest/http_status.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "base/status.h"

namespace torchfleet::gateway::rest {
namespace {

TEST_CASE("HttpErrorOf: each status has its code", "[gateway][rest]") {
  struct Row {
    absl::StatusCode status;
    int code;
    std::string retry_after;
  };
  const Row rows[] = {
      {absl::StatusCode::kCancelled, 499, ""},
      {absl::StatusCode::kUnknown, 500, ""},
      {absl::StatusCode::kInvalidArgument, 400, ""},
      {absl::StatusCode::kDeadlineExceeded, 504, ""},
      {absl::StatusCode::kNotFound, 404, ""},
      {absl::StatusCode::kAlreadyExists, 409, ""},
      {absl::StatusCode::kPermissionDenied, 403, ""},
      {absl::StatusCode::kResourceExhausted, 429, "1"},
      {absl::StatusCode::kFailedPrecondition, 400, ""},
      {absl::StatusCode::kAborted, 409, ""},
      {absl::StatusCode::kOutOfRange, 400, ""},
      {absl::StatusCode::kUnimplemented, 501, ""},
      {absl::StatusCode::kInternal, 500, ""},
      {absl::StatusCode::kUnavailable, 503, "1"},
      {absl::StatusCode::kDataLoss, 500, ""},
      {absl::StatusCode::kUnauthenticated, 401, ""},
  };
  for (const Row& row : rows) {
    INFO(absl::StatusCodeToString(row.status));
    const HttpError error = HttpErrorOf(absl::Status(row.status, "why"));
    CHECK(error.code == row.code);
    CHECK(error.retry_after == row.retry_after);
  }
}

TEST_CASE("HttpErrorOf: a delay is rounded up to seconds; too large is 413", "[gateway][rest]") {
  const auto unavailable = [](absl::Duration delay) {
    return HttpErrorOf(WithRetryDelay(absl::UnavailableError("x"), delay)).retry_after;
  };
  CHECK(unavailable(absl::Milliseconds(10)) == "1");
  CHECK(unavailable(absl::Milliseconds(2001)) == "3");
  CHECK(unavailable(absl::ZeroDuration()) == "1");
  CHECK(HttpErrorOf(TooLargeError("x")).code == 413);
  CHECK(HttpErrorOf(TooLargeError("x")).retry_after.empty());
}

TEST_CASE("ErrorDocument: is JSON whatever the text is", "[gateway][rest]") {
  CHECK(ErrorDocument("no model 'x'") == R"({"error":"no model 'x'"})");
  CHECK(ErrorDocument("a\"b\\c") == R"({"error":"a\"b\\c"})");
  CHECK(ErrorDocument("a\xff\n") == R"({"error":"a??"})");
  CHECK(ErrorDocument(std::string(10000, 'x')).size() < 600);
}

}  // namespace
}  // namespace torchfleet::gateway::rest
