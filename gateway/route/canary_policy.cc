#include "gateway/route/canary_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace torchfleet::gateway {
namespace {

constexpr uint32_t kStepSeconds = 60;
constexpr uint32_t kMinCalls = 100;
constexpr uint32_t kMoreErrorsPercent = 1;
constexpr uint32_t kLatencyPercent = 150;

uint32_t Or(uint32_t set, uint32_t otherwise) { return set == 0 ? otherwise : set; }

double Rate(const SideFigures& side) {
  return side.calls == 0 ? 0 : static_cast<double>(side.failed) / static_cast<double>(side.calls);
}

struct Interval {
  double low = 0, high = 0;
};

// Wilson's score interval of a failure rate.
Interval Wilson(const SideFigures& side, double z) {
  const double n = static_cast<double>(side.calls);
  const double p = Rate(side);
  const double whole = 1 + z * z / n;
  const double centre = p + z * z / (2 * n);
  const double spread = z * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {(centre - spread) / whole, (centre + spread) / whole};
}

// So much more of the canary's calls fail at least.
double LeastDifference(const SideFigures& canary, const SideFigures& targets, double z) {
  const double p = Rate(canary), q = Rate(targets);
  return p - q - std::hypot(p - Wilson(canary, z).low, Wilson(targets, z).high - q);
}

double Millis(std::optional<absl::Duration> duration) {
  return absl::ToDoubleMilliseconds(duration.value_or(absl::ZeroDuration()));
}

bool IsLate(absl::Duration canary, absl::Duration targets, const CanaryLimits& limits) {
  return canary > targets * limits.latency && canary > targets + CanaryPolicy::kNoMatter;
}

}  // namespace

SideFigures& SideFigures::operator+=(const SideFigures& other) {
  calls += other.calls;
  failed += other.failed;
  latencies += other.latencies;
  return *this;
}

SideFigures SideFigures::Since(const SideFigures& earlier) const {
  return {calls - earlier.calls, failed - earlier.failed, latencies.Since(earlier.latencies)};
}

CanaryLimits CanaryLimits::Of(const registry::v1::RouteCanary& canary) {
  return {.step_time = absl::Seconds(Or(canary.step_seconds(), kStepSeconds)),
          .min_calls = Or(canary.min_calls(), kMinCalls),
          .more_errors = Or(canary.max_more_errors_percent(), kMoreErrorsPercent) / 100.0,
          .latency = Or(canary.max_latency_percent(), kLatencyPercent) / 100.0};
}

CanaryStanding CanaryPolicy::Errors(const TrialFigures& seen, const CanaryLimits& limits) {
  const SideFigures& canary = seen.canary;
  if (canary.calls == 0) return CanaryStanding::kAsGood;
  const bool alone = seen.targets.calls < kFewestOfTargets;
  const double allowed = alone ? std::max(0.5, limits.more_errors) : limits.more_errors;
  if (canary.failed >= kFewestFailed) {
    const double least =
        alone ? Wilson(canary, kErrorZ).low : LeastDifference(canary, seen.targets, kErrorZ);
    if (least > allowed) return CanaryStanding::kWorse;
  }
  const double more = Rate(canary) - (alone ? 0 : Rate(seen.targets));
  return more <= allowed ? CanaryStanding::kAsGood : CanaryStanding::kOpen;
}

CanaryStanding CanaryPolicy::Latency(const TrialFigures& seen, const CanaryLimits& limits) {
  const LatencyCounts& canary = seen.canary.latencies;
  const LatencyCounts& targets = seen.targets.latencies;
  if (canary.total() < kFewestAnswers || targets.total() < kFewestAnswers) {
    return CanaryStanding::kAsGood;
  }
  const auto low = canary.LowerBound(kQuantile, kLatencyZ);
  const auto high = targets.UpperBound(kQuantile, kLatencyZ);
  if (low && high && IsLate(*low, *high, limits)) return CanaryStanding::kWorse;
  return IsLate(*canary.Quantile(kQuantile), *targets.Quantile(kQuantile), limits)
             ? CanaryStanding::kOpen
             : CanaryStanding::kAsGood;
}

bool CanaryPolicy::ConfirmsLate(const SideFigures& fresh, const SideFigures& targets,
                                const CanaryLimits& limits) {
  const auto now = fresh.latencies.Quantile(kQuantile);
  const auto usual = targets.latencies.Quantile(kQuantile);
  return now && usual && IsLate(*now, *usual, limits);
}

std::string CanaryPolicy::ErrorsText(const TrialFigures& seen) {
  return fmt::format("{} of {} calls failed, {} of {} at the targets", seen.canary.failed,
                     seen.canary.calls, seen.targets.failed, seen.targets.calls);
}

std::string CanaryPolicy::LatencyText(const TrialFigures& seen) {
  return fmt::format("95% of answers within {:.1f} ms, {:.1f} ms at the targets",
                     Millis(seen.canary.latencies.Quantile(kQuantile)),
                     Millis(seen.targets.latencies.Quantile(kQuantile)));
}

}  // namespace torchfleet::gateway
