// Fuzzes HTTP/1: what a peer sends, to a server and as one.

#include <cstddef>
#include <cstdint>

#include "tests/fuzz/fault.h"
#include "tests/fuzz/http1_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  torchfleet::AbortOn(
      torchfleet::net::Http1Fault(std::string_view(reinterpret_cast<const char*>(data), size)));
  return 0;
}
