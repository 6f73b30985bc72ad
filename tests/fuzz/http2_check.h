#pragma once
// Says to an HTTP/2 connection of either side what a fuzzer thought of: never a
// crash, a leak or a hang, every stream is closed in the end, and what its
// handlers hear is the same however the bytes are cut.

#include <string>
#include <string_view>

namespace torchfleet::net {

// Empty when all is well. The first byte chooses the side (its lowest bit) and
// whether the rest is frames or a script of them (the next).
std::string Http2Fault(std::string_view input);

}  // namespace torchfleet::net
