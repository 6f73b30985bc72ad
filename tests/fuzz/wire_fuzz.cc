// Fuzzes wire/ against Protocol Buffers' own parser.

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/wire_differential.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string difference = torchfleet::wire::DifferenceFromProtobuf(
      std::string_view(reinterpret_cast<const char*>(data), size));
  if (!difference.empty()) {
    std::fprintf(stderr, "%s\n", difference.c_str());
    std::abort();
  }
  return 0;
}
