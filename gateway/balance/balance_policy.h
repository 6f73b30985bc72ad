#pragma once
// Picks the endpoint for a call's next attempt: the one with the fewest calls
// outstanding; of several such, any. Endpoints that lately could not be reached
// come last, and those that this call has tried not at all.
//
// Pure: randomness comes in as a value.

#include <cstdint>
#include <optional>
#include <span>

namespace torchfleet::gateway {

struct BalanceCandidate {
  int64_t outstanding = 0;
  bool failed_lately = false;
  bool tried = false;
};

class BalancePolicy {
 public:
  // The index of the candidate to take; nothing when all have been tried.
  static std::optional<size_t> Choose(std::span<const BalanceCandidate> candidates,
                                      uint64_t random);
};

}  // namespace torchfleet::gateway
