#pragma once
// Says to HTTP/1, as a client's bytes and as a server's, what a fuzzer thought
// of: never a crash, a leak or a hang, every stream is closed in the end, and
// what is read is the same however the bytes are cut.

#include <string>
#include <string_view>

namespace torchfleet::net {

// Empty when all is well.
std::string Http1Fault(std::string_view bytes);

}  // namespace torchfleet::net
