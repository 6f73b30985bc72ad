#pragma once
// ModelStreamInferResponse: around a response that is there already, or an error
// in its place; and taken apart again. Pure.

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace torchfleet::wire {

// What comes before a ModelInferResponse of `size` bytes; nothing comes after it.
std::string StreamResponseHead(size_t size);
// A whole message: an error, and the id of the request that failed. Both are
// UTF-8.
std::string StreamError(std::string_view text, std::string_view id);

struct StreamResponse {
  std::string_view error_message;
  // A ModelInferResponse, not looked into.
  std::string_view infer_response;
};
// Views into `message`. INVALID_ARGUMENT for bytes that are no such message. Of a
// field that comes twice the last counts.
absl::StatusOr<StreamResponse> ParseStreamResponse(std::string_view message);

}  // namespace torchfleet::wire
