// Fuzzes the small readers: parts of gRPC and gRPC-Web calls, and files.

#include <cstddef>
#include <cstdint>

#include "tests/fuzz/fault.h"
#include "tests/fuzz/small_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  torchfleet::AbortOn(
      torchfleet::SmallFault(std::string_view(reinterpret_cast<const char*>(data), size)));
  return 0;
}
