#include "cli/up/scale_policy.h"

#include <algorithm>
#include <cmath>

namespace torchfleet::cli {
namespace {

// Leaves room for what comes while another worker starts.
constexpr double kTarget = 0.75;

}  // namespace

std::optional<int> ScalePolicy::Desired(const ScaleSignal& signal) {
  if (signal.workers == 0 || signal.capacity == 0) return std::nullopt;
  const double each = static_cast<double>(signal.capacity) / signal.workers;
  const double needed = std::ceil(static_cast<double>(signal.in_flight) / (kTarget * each));
  return static_cast<int>(std::min(needed, 1e6));
}

int ScalePolicy::Decide(const ScaleSignal& signal, ScaleBounds bounds, Instant now) {
  count_ = std::clamp(count_, bounds.least, bounds.most);
  const auto desired = Desired(signal);
  if (!desired) return count_;
  const int needed = std::clamp(*desired, bounds.least, bounds.most);
  if (needed >= count_) {
    fewer_since_.reset();
    return count_ = needed;
  }
  if (!fewer_since_) {
    fewer_since_ = now;
    most_needed_ = needed;
  }
  most_needed_ = std::max(most_needed_, needed);
  if (now - *fewer_since_ >= hold_down_) {
    fewer_since_.reset();
    count_ = most_needed_;
  }
  return count_;
}

}  // namespace torchfleet::cli
