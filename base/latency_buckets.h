#pragma once
// Latencies by size, in half octaves from 16 microseconds to a minute: bucket i
// holds what took less than 16 us x 2^((i+1)/2) and is in no bucket before it, the
// last one what took longer than all.
//
// Counts of many writers, workers and processes can be added up, as quantiles cannot.
// A quantile of them is right to half an octave.
//
// Pure.

#include <array>
#include <cstddef>
#include <optional>

#include "absl/time/time.h"

namespace torchfleet {

class LatencyBuckets {
 public:
  static constexpr size_t kCount = 45;
  using Counts = std::array<double, kCount>;

  // Of a latency whose binary logarithm, in microseconds, this is.
  static size_t Of(double log_micros);
  // What the share `share` of them took at most; nothing of none.
  static std::optional<absl::Duration> Quantile(const Counts& counts, double share);
};

}  // namespace torchfleet
