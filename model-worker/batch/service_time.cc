#include "model-worker/batch/service_time.h"

#include <algorithm>
#include <cmath>

namespace torchfleet::worker {
namespace {

constexpr double kKeep = 0.9;

}  // namespace

void ServiceTime::Add(double size, absl::Duration took) {
  // Whatever comes, sums stay numbers.
  size = std::max(size, 1.0);
  const double seconds =
      absl::ToDoubleSeconds(std::clamp(took, absl::ZeroDuration(), absl::Hours(24)));
  if (count_ > 0) {
    const double expected = absl::ToDoubleSeconds(Expected(size));
    const double share = count_ == 1 ? 1 : 1 - kKeep;
    distance_ += share * (std::abs(seconds - expected) - distance_);
  }
  weight_ = kKeep * weight_ + 1;
  sizes_ = kKeep * sizes_ + size;
  times_ = kKeep * times_ + seconds;
  sizes_squared_ = kKeep * sizes_squared_ + size * size;
  products_ = kKeep * products_ + size * seconds;
  count_ = std::min(count_ + 1, kEnough);
  Fit();
}

void ServiceTime::Fit() {
  const double size = sizes_ / weight_, time = times_ / weight_;
  const double spread = sizes_squared_ / weight_ - size * size;
  // Sizes that differ by less than a twentieth tell no slope.
  if (spread > size * size / 400) {
    sloped_ = true;
    each_ = std::max(0.0, (products_ / weight_ - size * time) / spread);
  }
  each_ = std::min(each_, time / size);
  fixed_ = std::max(0.0, time - each_ * size);
}

absl::Duration ServiceTime::Expected(double size) const {
  const absl::Duration expected = AtLeast(size);
  if (sloped_ || count_ == 0) return expected;
  return expected * std::max(1.0, size / std::max(1.0, sizes_ / weight_));
}

absl::Duration ServiceTime::Upper(double size) const {
  return Expected(size) + absl::Seconds(2 * distance_);
}

}  // namespace torchfleet::worker
