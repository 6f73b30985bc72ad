#pragma once
// How long answers took, counted by sixteenths of octaves, so that a quantile is
// right to a twentieth; and where it lies as sure as is asked.
//
// A quantile's bounds are those of order statistics: of n answers about
// n q ± z √(n q (1 − q)) are below it (David and Nagaraja, Order Statistics, 7.1),
// whatever their distribution. Pure.

#include <array>
#include <cstdint>
#include <optional>

#include "absl/time/time.h"

namespace torchfleet::gateway {

class LatencyCounts {
 public:
  static constexpr int kPerOctave = 16;
  // From 1 µs to half an hour.
  static constexpr size_t kBuckets = 31 * kPerOctave;

  static size_t BucketOf(absl::Duration latency);

  void Add(absl::Duration latency) { AddTo(BucketOf(latency), 1); }
  void AddTo(size_t bucket, uint64_t count);
  LatencyCounts& operator+=(const LatencyCounts& other);
  // `earlier`: what these were at some time.
  LatencyCounts Since(const LatencyCounts& earlier) const;

  uint64_t total() const { return total_; }
  // Nothing when there are no answers.
  std::optional<absl::Duration> Quantile(double q) const;
  // The true quantile is hardly below the one nor above the other, by `z` standard
  // deviations; nothing when there are too few answers to say.
  std::optional<absl::Duration> LowerBound(double q, double z) const;
  std::optional<absl::Duration> UpperBound(double q, double z) const;

 private:
  // The upper end of the bucket that the answer of this rank is in, from 1.
  absl::Duration AtRank(uint64_t rank) const;

  std::array<uint64_t, kBuckets> counts_ = {};
  uint64_t total_ = 0;
};

}  // namespace torchfleet::gateway
