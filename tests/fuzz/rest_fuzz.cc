// Fuzzes the REST codec: bodies, paths, answers.

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/rest_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string fault = torchfleet::gateway::rest::RestFault(
      std::string_view(reinterpret_cast<const char*>(data), size));
  if (!fault.empty()) {
    std::fprintf(stderr, "%s\n", fault.c_str());
    std::abort();
  }
  return 0;
}
