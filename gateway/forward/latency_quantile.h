#pragma once
// How long nearly all answers of a model take, of late.
//
// Counts by quarters of octaves, so it is right to a fifth; halved now and then,
// so that what was long ago counts less. Until there are enough to tell, it is several
// times what the slowest of them took: a worker that freezes is told from a slow one
// even then. Pure. One writer, who reads too.

#include <array>
#include <cstdint>
#include <optional>

#include "absl/time/time.h"

namespace torchfleet::gateway {

class LatencyQuantile {
 public:
  // The share of answers that take no longer than what Get says, if none is asked for.
  static constexpr double kShare = 0.975;
  // Fewer answers do not tell a share.
  static constexpr uint32_t kEnough = 50;
  // Fewer tell nothing.
  static constexpr uint32_t kFew = 10;
  static constexpr double kFactorOfFew = 4;

  void Add(absl::Duration latency);
  // Nothing of fewer than kFew.
  std::optional<absl::Duration> Get() const { return quantile_; }
  // Of another share, always the same one: whenever it is another than before it is
  // looked for.
  std::optional<absl::Duration> Get(double share);

 private:
  static constexpr int kPerOctave = 4;
  // From 1 µs to an hour.
  static constexpr size_t kBuckets = 32 * kPerOctave;
  static constexpr uint32_t kEvery = 16;
  static constexpr uint32_t kMost = 4000;

  std::optional<absl::Duration> Find(double share) const;

  std::array<uint32_t, kBuckets> counts_ = {};
  uint32_t sum_ = 0;
  uint32_t added_ = 0;
  std::optional<absl::Duration> quantile_;
  double other_share_ = kShare;
  std::optional<absl::Duration> other_quantile_;
};

}  // namespace torchfleet::gateway
