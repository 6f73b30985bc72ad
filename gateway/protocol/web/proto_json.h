#pragma once
// Protocol Buffers as the JSON that Triton's REST has for its configuration and
// statistics: names as in the .proto, numbers as numbers (64 bits too), every
// scalar there is, enumerations by name. Off the path of a call.
//
// Pure functions; thread-safe.

#include <string>

namespace google::protobuf {
class Message;
}

namespace torchfleet::gateway {

std::string ToJson(const google::protobuf::Message& message);

}  // namespace torchfleet::gateway
