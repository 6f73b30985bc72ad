#include "base/latency_buckets.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace torchfleet {
namespace {

// The binary logarithm of 16 us, where the first bucket begins.
constexpr double kFirst = 4;
constexpr double kPerOctave = 2;

}  // namespace

size_t LatencyBuckets::Of(double log_micros) {
  const double place = (log_micros - kFirst) * kPerOctave;
  return static_cast<size_t>(std::clamp(place, 0.0, static_cast<double>(kCount - 1)));
}

std::optional<absl::Duration> LatencyBuckets::Quantile(const Counts& counts, double share) {
  const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
  if (!(total > 0)) return std::nullopt;
  double left = share * total;
  size_t bucket = 0;
  while (bucket + 1 < kCount && (counts[bucket] <= 0 || left > counts[bucket])) {
    left -= counts[bucket++];
  }
  // Within a bucket as if evenly on its logarithmic scale; of the last one nobody
  // knows the end.
  const double within = bucket + 1 == kCount ? 0 : std::clamp(left / counts[bucket], 0.0, 1.0);
  const double place = static_cast<double>(bucket) + within;
  return absl::Microseconds(std::exp2(kFirst + place / kPerOctave));
}

}  // namespace torchfleet
