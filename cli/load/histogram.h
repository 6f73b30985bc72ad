#pragma once
// Durations by their number, so fine that a quantile is told to a thousandth of
// itself, from a nanosecond to over an hour. Pure.
//
// Source: Gil Tene's HdrHistogram: buckets that double in width, each of 1,024
// equal parts, so that recording is a shift and an addition.

#include <cstdint>
#include <vector>

#include "absl/time/time.h"

namespace torchfleet::cli {

class Histogram {
 public:
  Histogram();

  // Below zero counts as zero, and over 4,398 s as that.
  void Record(absl::Duration value);
  void Add(const Histogram& other);
  void Clear();

  uint64_t count() const { return count_; }
  // What `share` of the values, 0 to 1, are not above; zero without values. At
  // most a thousandth too high, never too low, and max() at 1.
  absl::Duration Quantile(double share) const;
  absl::Duration max() const { return absl::Nanoseconds(max_); }
  absl::Duration Mean() const;

 private:
  std::vector<uint64_t> counts_;
  uint64_t count_ = 0;
  int64_t max_ = 0;
  double sum_ = 0;  // nanoseconds
};

}  // namespace torchfleet::cli
