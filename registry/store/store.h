#pragma once
// What the registry must not forget when it restarts.
//
// Today that is the epoch counter, which tells a worker's newer registration
// from an older one. Implementations are thread-safe.

#include <cstdint>

#include "absl/status/statusor.h"

namespace torchfleet::registry {

class Store {
 public:
  virtual ~Store() = default;

  // An epoch higher than every one given before, also by an earlier life of the
  // registry. UNAVAILABLE or RESOURCE_EXHAUSTED when it cannot be kept.
  virtual absl::StatusOr<uint64_t> NextEpoch() = 0;
};

}  // namespace torchfleet::registry
