#include "gateway/forward/latency_quantile.h"

#include <algorithm>
#include <cmath>

namespace torchfleet::gateway {

void LatencyQuantile::Add(absl::Duration latency) {
  const float micros = std::max(1.0F, static_cast<float>(absl::ToDoubleMicroseconds(latency)));
  const auto bucket = static_cast<size_t>(std::log2(micros) * kPerOctave);
  ++counts_[std::min(bucket, kBuckets - 1)];
  ++sum_;
  if (++added_ % kEvery != 0 && added_ > kEnough) return;
  quantile_ = Find(kShare);
  if (other_share_ != kShare) other_quantile_ = Find(other_share_);
  if (sum_ < kMost) return;
  sum_ = 0;
  for (uint32_t& count : counts_) sum_ += count /= 2;
}

std::optional<absl::Duration> LatencyQuantile::Get(double share) {
  if (share == kShare) return quantile_;
  if (share != other_share_) {
    other_share_ = share;
    other_quantile_ = Find(share);
  }
  return other_quantile_;
}

std::optional<absl::Duration> LatencyQuantile::Find(double share) const {
  if (sum_ < kFew) return std::nullopt;
  const bool few = sum_ < kEnough;
  const auto beyond = few ? 0 : static_cast<uint32_t>((1 - share) * sum_);
  uint32_t seen = 0;
  size_t bucket = kBuckets;
  while (bucket > 0 && seen + counts_[bucket - 1] <= beyond) seen += counts_[--bucket];
  // The upper end of the last bucket that belongs to the share.
  return absl::Microseconds(std::exp2(static_cast<double>(bucket) / kPerOctave)) *
         (few ? kFactorOfFew : 1);
}

}  // namespace torchfleet::gateway
