#pragma once
// How long an endpoint's answers took of late: those of about the last ten seconds,
// what is older counting less and less.
//
// One writer, once a second. Anybody may read meanwhile, without a lock, and then
// sees some counts before and some after.

#include <array>
#include <atomic>
#include <cstdint>

#include "base/latency_buckets.h"

namespace torchfleet::gateway {

class RecentLatency {
 public:
  // Counts since the beginning, which may pass their highest number and begin again.
  using Totals = std::array<uint32_t, LatencyBuckets::kCount>;

  // A second has passed.
  void Add(const Totals& totals) {
    float sum = 0;
    for (size_t i = 0; i < totals.size(); ++i) {
      const float before = late_[i].load(std::memory_order_relaxed) * kKept;
      const float late = before + static_cast<float>(totals[i] - counted_[i]);
      sum += late;
      late_[i].store(late < kForgotten ? 0 : late, std::memory_order_relaxed);
    }
    counted_ = totals;
    empty_ = sum < kForgotten;
  }
  // Whether all has faded. The writer's.
  bool empty() const { return empty_; }

  LatencyBuckets::Counts Get() const {
    LatencyBuckets::Counts counts{};
    for (size_t i = 0; i < counts.size(); ++i) counts[i] = late_[i].load(std::memory_order_relaxed);
    return counts;
  }

 private:
  // exp(-1/10): what is left after a second.
  static constexpr float kKept = 0.905F;
  static constexpr float kForgotten = 0.01F;

  std::array<std::atomic<float>, LatencyBuckets::kCount> late_ = {};
  Totals counted_ = {};
  bool empty_ = true;
};

}  // namespace torchfleet::gateway
