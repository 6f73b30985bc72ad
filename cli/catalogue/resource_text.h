#pragma once
// A model or a route as a file that a person writes: in the text format of
// Protocol Buffers, or as JSON where it begins with a brace. Pure.

#include <google/protobuf/message.h>

#include <string>

#include "absl/status/status.h"

namespace torchfleet::cli {

// Reads `text` into `message`; INVALID_ARGUMENT, with `file` and what is wrong
// in which line, when it is no such thing.
absl::Status ReadResource(const std::string& text, const std::string& file,
                          google::protobuf::Message& message);

// As JSON that ReadResource takes, in lines.
std::string AsJson(const google::protobuf::Message& message);

}  // namespace torchfleet::cli
