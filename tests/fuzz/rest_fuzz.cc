// Fuzzes the REST codec: bodies, paths, answers.

#include <cstddef>
#include <cstdint>

#include "tests/fuzz/fault.h"
#include "tests/fuzz/rest_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  torchfleet::AbortOn(torchfleet::gateway::rest::RestFault(
      std::string_view(reinterpret_cast<const char*>(data), size)));
  return 0;
}
