#pragma once
// Errors inside a process: absl::Status with the details that clients read.
//
// gRPC and HTTP codes appear at the edges only (base/grpc_status.h).

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace torchfleet {

// No error text that leaves a process is longer.
inline constexpr size_t kMaxErrorText = 512;

// `text` when it has at most `limit` bytes, else its beginning and "…"; control
// characters and bytes that are not UTF-8 become '?'. For names and values that
// a stranger sent and that go back in an error or into a log.
std::string Clip(std::string_view text, size_t limit = 64);

// `status` with its message cut to kMaxErrorText.
absl::Status ClipMessage(const absl::Status& status);

// Details, kept beside the message. `field` says where the fault is, such as
// `inputs[x].shape`; the description is the status's own message.
absl::Status WithBadField(absl::Status status, std::string_view field);
std::optional<std::string> BadField(const absl::Status& status);

// When a caller may try again.
absl::Status WithRetryDelay(absl::Status status, absl::Duration delay);
std::optional<absl::Duration> RetryDelay(const absl::Status& status);

}  // namespace torchfleet

#define TORCHFLEET_CONCAT_INNER(a, b) a##b
#define TORCHFLEET_CONCAT(a, b) TORCHFLEET_CONCAT_INNER(a, b)

// Returns from the caller when `expression`, an absl::Status, is an error.
#define RETURN_IF_ERROR(expression)                                         \
  do {                                                                      \
    if (absl::Status status_ = (expression); !status_.ok()) return status_; \
  } while (false)

// Assigns the value of `expression`, an absl::StatusOr, to `target`, or returns
// its error from the caller.
#define ASSIGN_OR_RETURN(target, expression) \
  ASSIGN_OR_RETURN_INNER(TORCHFLEET_CONCAT(status_or_, __LINE__), target, expression)
#define ASSIGN_OR_RETURN_INNER(result, target, expression) \
  auto result = (expression);                              \
  if (!result.ok()) return std::move(result).status();     \
  target = *std::move(result)
