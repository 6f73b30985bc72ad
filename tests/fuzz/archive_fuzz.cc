// Fuzzes what reads a model's archive before torch does.

#include <cstddef>
#include <cstdint>

#include "tests/fuzz/archive_check.h"
#include "tests/fuzz/fault.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  torchfleet::AbortOn(torchfleet::worker::ArchiveFault(
      std::string_view(reinterpret_cast<const char*>(data), size)));
  return 0;
}
