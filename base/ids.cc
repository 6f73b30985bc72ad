#include "base/ids.h"

#include <cstdint>
#include <random>

#include "absl/strings/str_format.h"

namespace torchfleet {

std::string RandomId() {
  std::random_device source;
  const uint64_t id = (uint64_t{source()} << 32) | source();
  return absl::StrFormat("%016x", id);
}

}  // namespace torchfleet
