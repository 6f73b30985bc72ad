#pragma once
// Requests that left the queue without running, by reason. Thread-safe.

#include <atomic>
#include <cstdint>

namespace torchfleet::worker {

struct QueueStatistics {
  // It was full.
  std::atomic<uint64_t> rejected = 0;
  // They could not be done before their deadline.
  std::atomic<uint64_t> refused_early = 0;
  // Their time passed.
  std::atomic<uint64_t> expired = 0;
  // Their caller left.
  std::atomic<uint64_t> cancelled = 0;
};

}  // namespace torchfleet::worker
