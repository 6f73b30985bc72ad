#pragma once
// What a status is in HTTP, and the document that carries its text.
//
// Pure functions; thread-safe.

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace torchfleet::gateway::rest {

// What answers an error. Never for OK.
struct HttpError {
  int code = 500;
  // Value of the header Retry-After, in whole seconds; empty for none.
  std::string retry_after;
};

// Codes as in the table of faults: 499 for a call its client gave up, 429 for a
// quota, 503 for what may work elsewhere or later, and so on.
HttpError HttpErrorOf(const absl::Status& status);

// RESOURCE_EXHAUSTED that is 413 in HTTP, not 429: the message itself is too
// large, trying again won't help.
absl::Status TooLargeError(std::string_view text);

// {"error": text}, the text clipped to kMaxErrorText.
std::string ErrorDocument(std::string_view text);

}  // namespace torchfleet::gateway::rest
