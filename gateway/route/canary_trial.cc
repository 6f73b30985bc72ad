#include "gateway/route/canary_trial.h"

#include <fmt/format.h>

#include "gateway/route/traffic_policy.h"

namespace torchfleet::gateway {
namespace {

namespace v1 = registry::v1;

v1::RouteCanary WithoutReason(const v1::RouteCanary& canary) {
  v1::RouteCanary step = canary;
  step.clear_reason();
  // Clients set none.
  if (step.phase() == v1::RouteCanary::PHASE_UNSPECIFIED) {
    step.set_phase(v1::RouteCanary::PHASE_RUNNING);
  }
  return step;
}

bool SameStep(const v1::RouteCanary& a, const v1::RouteCanary& b) {
  return a.SerializeAsString() == b.SerializeAsString();
}

// A later step, or the same one, of the same trial.
bool GoesOn(v1::RouteCanary before, v1::RouteCanary after) {
  if (before.phase() != after.phase() || after.step() < before.step()) return false;
  before.clear_step();
  after.clear_step();
  return SameStep(before, after);
}

}  // namespace

void CanaryTrial::BeginStep(const v1::RouteCanary& canary, const TrialFigures& totals,
                            Instant now) {
  if (known_ && GoesOn(step_, canary)) {
    targets_before_ = Seen(totals).targets;
  } else {
    targets_before_ = {};
    condemned_.clear();
  }
  known_ = true;
  step_ = canary;
  since_ = now;
  begun_with_ = totals;
  suspected_.reset();
}

TrialFigures CanaryTrial::Seen(const TrialFigures& totals) const {
  TrialFigures seen = totals.Since(begun_with_);
  // As many as a bound of their 95th percentile needs.
  constexpr uint64_t kEnough = 200;
  if (seen.targets.calls < kEnough) seen.targets += targets_before_;
  return seen;
}

void CanaryTrial::Condemn(const TrialFigures& totals, const TrialFigures& seen,
                          const CanaryLimits& limits) {
  if (CanaryPolicy::Errors(seen, limits) == CanaryStanding::kWorse) {
    condemned_ = fmt::format("{}; at most {:g}% more may", CanaryPolicy::ErrorsText(seen),
                             limits.more_errors * 100);
    return;
  }
  if (!suspected_) {
    if (CanaryPolicy::Latency(seen, limits) == CanaryStanding::kWorse) suspected_ = totals;
    return;
  }
  const SideFigures fresh = totals.canary.Since(suspected_->canary);
  if (fresh.latencies.total() < kConfirming) return;
  suspected_.reset();
  if (!CanaryPolicy::ConfirmsLate(fresh, seen.targets, limits)) return;
  condemned_ = fmt::format("{}; at most {:g}% of that is allowed", CanaryPolicy::LatencyText(seen),
                           limits.latency * 100);
}

bool CanaryTrial::DoesWell(const TrialFigures& totals, const TrialFigures& seen,
                           const CanaryLimits& limits) const {
  // What is open stays so where the targets get no more calls.
  const bool decidable =
      totals.targets.calls - begun_with_.targets.calls >= CanaryPolicy::kFewestOfTargets;
  const CanaryStanding least = decidable ? CanaryStanding::kAsGood : CanaryStanding::kOpen;
  return CanaryPolicy::Errors(seen, limits) >= least &&
         CanaryPolicy::Latency(seen, limits) >= least;
}

CanaryJudgement CanaryTrial::Judge(const v1::RouteCanary& canary, const TrialFigures& totals,
                                   Instant now) {
  const v1::RouteCanary step = WithoutReason(canary);
  if (!known_ || !SameStep(step, step_)) BeginStep(step, totals, now);
  if (step.phase() != v1::RouteCanary::PHASE_RUNNING) return {};
  const CanaryLimits limits = CanaryLimits::Of(canary);
  const TrialFigures seen = Seen(totals);
  if (condemned_.empty()) Condemn(totals, seen, limits);
  if (!condemned_.empty()) {
    return {.verdict = CanaryVerdict::kRollBack,
            .reason = fmt::format("at {}%: {}", TrafficPolicy::ShareOf(step), condemned_)};
  }
  if (now - since_ < limits.step_time || seen.canary.calls < limits.min_calls ||
      !DoesWell(totals, seen, limits)) {
    return {};
  }
  const bool last = static_cast<int>(step.step()) + 1 >= step.steps_size();
  return {.verdict = last ? CanaryVerdict::kPromote : CanaryVerdict::kAdvance,
          .reason = fmt::format("at {}%: {}; {}", TrafficPolicy::ShareOf(step),
                                CanaryPolicy::ErrorsText(seen), CanaryPolicy::LatencyText(seen))};
}

v1::RouteCanary After(const CanaryJudgement& judgement, const v1::RouteCanary& canary) {
  v1::RouteCanary after = canary;
  after.set_phase(v1::RouteCanary::PHASE_RUNNING);
  if (judgement.verdict == CanaryVerdict::kAdvance) after.set_step(canary.step() + 1);
  if (judgement.verdict == CanaryVerdict::kPromote) {
    after.set_phase(v1::RouteCanary::PHASE_PROMOTED);
  }
  if (judgement.verdict == CanaryVerdict::kRollBack) {
    after.set_phase(v1::RouteCanary::PHASE_ROLLED_BACK);
  }
  after.set_reason(judgement.reason.substr(0, CanaryTrial::kMostReason));
  return after;
}

}  // namespace torchfleet::gateway
