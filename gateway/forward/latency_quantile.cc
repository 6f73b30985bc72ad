#include "gateway/forward/latency_quantile.h"

#include <algorithm>
#include <cmath>

namespace torchfleet::gateway {

void LatencyQuantile::Add(absl::Duration latency) {
  const float micros = std::max(1.0F, static_cast<float>(absl::ToDoubleMicroseconds(latency)));
  const auto bucket = static_cast<size_t>(std::log2(micros) * kPerOctave);
  ++counts_[std::min(bucket, kBuckets - 1)];
  ++sum_;
  if (++added_ % kEvery == 0) Find();
}

void LatencyQuantile::Find() {
  if (sum_ < kEnough) return;
  const auto beyond = static_cast<uint32_t>((1 - kShare) * sum_);
  uint32_t seen = 0;
  size_t bucket = kBuckets;
  while (bucket > 0 && seen + counts_[bucket - 1] <= beyond) seen += counts_[--bucket];
  // The upper end of the last bucket that belongs to the share.
  quantile_ = absl::Microseconds(std::exp2(static_cast<double>(bucket) / kPerOctave));
  if (sum_ < kMost) return;
  sum_ = 0;
  for (uint32_t& count : counts_) sum_ += count /= 2;
}

}  // namespace torchfleet::gateway
