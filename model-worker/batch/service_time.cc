#include "model-worker/batch/service_time.h"

#include <algorithm>
#include <cmath>

namespace torchfleet::worker {
namespace {

constexpr double kKeep = 0.9;

}  // namespace

void ServiceTime::Add(double size, absl::Duration took) {
  const double seconds = absl::ToDoubleSeconds(took);
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
  one_size_ = spread <= size * size / 400;
  if (one_size_) {
    fixed_ = time;
    each_ = 0;
    return;
  }
  each_ = std::max(0.0, (products_ / weight_ - size * time) / spread);
  fixed_ = time - each_ * size;
  if (fixed_ < 0) {
    fixed_ = 0;
    each_ = time / size;
  }
}

absl::Duration ServiceTime::Expected(double size) const {
  double seconds = fixed_ + each_ * size;
  if (one_size_ && weight_ > 0) seconds *= std::max(1.0, size / std::max(1.0, sizes_ / weight_));
  return absl::Seconds(seconds);
}

absl::Duration ServiceTime::Upper(double size) const {
  return Expected(size) + absl::Seconds(2 * distance_);
}

}  // namespace torchfleet::worker
