#include "gateway/route/latency_counts.h"

#include <algorithm>
#include <cmath>

namespace torchfleet::gateway {
namespace {

double Spread(double n, double q, double z) { return z * std::sqrt(n * q * (1 - q)); }

}  // namespace

size_t LatencyCounts::BucketOf(absl::Duration latency) {
  const float micros = std::max(1.0F, static_cast<float>(absl::ToDoubleMicroseconds(latency)));
  const float bucket = std::log2(micros) * kPerOctave;
  return bucket < static_cast<float>(kBuckets) ? static_cast<size_t>(bucket) : kBuckets - 1;
}

void LatencyCounts::AddTo(size_t bucket, uint64_t count) {
  counts_[bucket] += count;
  total_ += count;
}

LatencyCounts& LatencyCounts::operator+=(const LatencyCounts& other) {
  for (size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
  total_ += other.total_;
  return *this;
}

LatencyCounts LatencyCounts::Since(const LatencyCounts& earlier) const {
  LatencyCounts since = *this;
  for (size_t i = 0; i < kBuckets; ++i) since.counts_[i] -= earlier.counts_[i];
  since.total_ -= earlier.total_;
  return since;
}

absl::Duration LatencyCounts::AtRank(uint64_t rank) const {
  uint64_t seen = 0;
  size_t bucket = 0;
  while (bucket + 1 < kBuckets && (seen += counts_[bucket]) < rank) ++bucket;
  return absl::Microseconds(std::exp2(static_cast<double>(bucket + 1) / kPerOctave));
}

std::optional<absl::Duration> LatencyCounts::Quantile(double q) const {
  if (total_ == 0) return std::nullopt;
  return AtRank(static_cast<uint64_t>(std::ceil(q * static_cast<double>(total_))));
}

std::optional<absl::Duration> LatencyCounts::LowerBound(double q, double z) const {
  const double n = static_cast<double>(total_);
  const double rank = std::floor(n * q - Spread(n, q, z));
  if (rank < 1) return std::nullopt;
  return AtRank(static_cast<uint64_t>(rank));
}

std::optional<absl::Duration> LatencyCounts::UpperBound(double q, double z) const {
  const double n = static_cast<double>(total_);
  const double rank = std::ceil(n * q + Spread(n, q, z)) + 1;
  if (total_ == 0 || rank > n) return std::nullopt;
  return AtRank(static_cast<uint64_t>(rank));
}

}  // namespace torchfleet::gateway
