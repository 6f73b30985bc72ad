#pragma once
// Epochs that grow from a clock's microseconds, until leases come from a Store.

#include <atomic>
#include <cstdint>

#include "absl/status/statusor.h"

namespace torchfleet::registry {

class EpochCounter {
 public:
  explicit EpochCounter(uint64_t first_epoch) : next_(first_epoch) {}

  absl::StatusOr<uint64_t> NextEpoch() { return next_.fetch_add(1); }

 private:
  std::atomic<uint64_t> next_;
};

}  // namespace torchfleet::registry
