#pragma once
// ModelStreamInferResponse on the wire, around a response that is there already.
// Pure.

#include <string>
#include <string_view>

namespace torchfleet::gateway {

// What comes before a ModelInferResponse of `size` bytes: gRPC's prefix and the
// field's head.
std::string StreamAnswerHead(size_t size);
// A whole message with gRPC's prefix: an error, and the id of its request.
std::string StreamErrorMessage(std::string_view text, std::string_view id);

}  // namespace torchfleet::gateway
