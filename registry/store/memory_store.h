#pragma once
// Forgets everything with the process.
//
// Epochs still never go back, as long as `first_epoch` comes from a clock that
// does not: microseconds since 1970 leave room for a million registrations a
// second between two lives.

#include <atomic>

#include "registry/store/store.h"

namespace torchfleet::registry {

class MemoryStore : public Store {
 public:
  explicit MemoryStore(uint64_t first_epoch) : next_(first_epoch) {}

  absl::StatusOr<uint64_t> NextEpoch() override { return next_.fetch_add(1); }

 private:
  std::atomic<uint64_t> next_;
};

}  // namespace torchfleet::registry
