#pragma once
// Identifiers that no two processes share.

#include <string>

namespace torchfleet {

// 16 hexadecimal digits from the operating system's random source.
std::string RandomId();

}  // namespace torchfleet
