#pragma once
// Holds wire/ against Protocol Buffers on one input: the body of the fuzz target
// and of the tests that need no fuzzer.

#include <string>
#include <string_view>

namespace torchfleet::wire {

// Reads `bytes` as a request and as a response with both parsers, compares
// verdicts and every value, writes what was read and reads that again, and
// holds the limits and the routing scan against the result. Empty when all
// agree, else the first difference.
std::string DifferenceFromProtobuf(std::string_view bytes);

}  // namespace torchfleet::wire
