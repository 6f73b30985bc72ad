#pragma once
// So many places for the calls of one model, whichever loops they are on.
//
// Who takes one gives it back. Thread-safe, without a lock: two who come for the
// last place at once may both be turned away, but never are there more than there
// may be.

#include <atomic>
#include <cstdint>

namespace torchfleet::gateway {

class Places {
 public:
  // False when `most` are taken.
  bool Take(uint32_t most) {
    if (taken_.fetch_add(1, std::memory_order_relaxed) < most) return true;
    GiveBack();
    return false;
  }
  void GiveBack() { taken_.fetch_sub(1, std::memory_order_relaxed); }
  int64_t taken() const { return taken_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> taken_ = 0;
};

}  // namespace torchfleet::gateway
