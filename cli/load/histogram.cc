#include "cli/load/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace torchfleet::cli {
namespace {

constexpr int kPartBits = 10;
constexpr uint64_t kParts = 1 << kPartBits;
constexpr int kMostBits = 42;
constexpr int64_t kMost = (int64_t{1} << kMostBits) - 1;

// The first two buckets have parts of a nanosecond, so they are one range.
int ShiftOf(uint64_t value) {
  return std::max(0, static_cast<int>(std::bit_width(value)) - kPartBits - 1);
}
size_t IndexOf(uint64_t value) {
  const int shift = ShiftOf(value);
  return static_cast<size_t>(shift) * kParts + (value >> shift);
}
// The greatest value that falls there.
int64_t HighestOf(size_t index) {
  if (index < 2 * kParts) return static_cast<int64_t>(index);
  const size_t shift = index / kParts - 1;
  return static_cast<int64_t>(((index - shift * kParts + 1) << shift) - 1);
}

}  // namespace

Histogram::Histogram() : counts_(IndexOf(static_cast<uint64_t>(kMost)) + 1) {}

void Histogram::Record(absl::Duration value) {
  const int64_t nanoseconds = std::clamp<int64_t>(absl::ToInt64Nanoseconds(value), 0, kMost);
  ++counts_[IndexOf(static_cast<uint64_t>(nanoseconds))];
  ++count_;
  max_ = std::max(max_, nanoseconds);
  sum_ += static_cast<double>(nanoseconds);
}

void Histogram::Add(const Histogram& other) {
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
  sum_ += other.sum_;
}

void Histogram::Clear() {
  std::fill(counts_.begin(), counts_.end(), 0);
  count_ = 0;
  max_ = 0;
  sum_ = 0;
}

absl::Duration Histogram::Quantile(double share) const {
  if (count_ == 0) return absl::ZeroDuration();
  // A product that rounding has lifted over a whole number is that number.
  const double rank = std::nextafter(share * static_cast<double>(count_), 0.0);
  const auto wanted =
      static_cast<uint64_t>(std::clamp(std::ceil(rank), 1.0, static_cast<double>(count_)));
  uint64_t seen = 0;
  size_t index = 0;
  while ((seen += counts_[index]) < wanted) ++index;
  return absl::Nanoseconds(std::min(HighestOf(index), max_));
}

absl::Duration Histogram::Mean() const {
  return count_ == 0 ? absl::ZeroDuration() : absl::Nanoseconds(sum_ / static_cast<double>(count_));
}

}  // namespace torchfleet::cli
