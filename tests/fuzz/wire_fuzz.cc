// Fuzzes wire/ against Protocol Buffers' own parser, and what a worker makes of
// the same bytes as a request.

#include <cstddef>
#include <cstdint>

#include "tests/fuzz/fault.h"
#include "tests/fuzz/request_check.h"
#include "tests/fuzz/wire_differential.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  torchfleet::AbortOn(torchfleet::wire::DifferenceFromProtobuf(bytes));
  torchfleet::AbortOn(torchfleet::worker::RequestFault(bytes));
  return 0;
}
