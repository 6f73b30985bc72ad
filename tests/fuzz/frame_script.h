#pragma once
// HTTP/2 frames from a script of bytes, which a fuzzer finds easier to write
// than frames: most are well-formed, their fields are HPACK, and their streams
// are ones that exist; each part may be wrong by a byte of the script. Pure.

#include <string>
#include <string_view>

namespace torchfleet::net {

// `client`: frames of a server, which answers; else of a client, which calls.
std::string FramesOf(std::string_view script, bool client);

}  // namespace torchfleet::net
