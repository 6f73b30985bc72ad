#pragma once
// One trial as one gateway sees it: from counters that only grow, what is to be
// done now.
//
//   new step ──► counts begin anew ──► step_seconds and min_calls, and as good
//                     │                    ──► advance; after the last step: promote
//                     └─ worse ──► condemned ──► roll back, until somebody has
//
// A canary that fails is condemned at once; one that is slow, when the next
// kConfirming answers after the suspicion are slow too, so that a moment's delay
// ends no trial. What the targets did in a step is kept for the next one, in which
// they may get few calls or none; what cannot be decided there is no reason to stay.
//
// Pure; time comes in as a value. Not thread-safe.

#include <optional>
#include <string>

#include "absl/time/time.h"
#include "base/clock.h"
#include "gateway/route/canary_policy.h"
#include "torchfleet/registry/v1/catalogue.pb.h"

namespace torchfleet::gateway {

enum class CanaryVerdict { kKeep, kAdvance, kPromote, kRollBack };

struct CanaryJudgement {
  CanaryVerdict verdict = CanaryVerdict::kKeep;
  // Why; at most kMostReason bytes.
  std::string reason = {};
};

class CanaryTrial {
 public:
  static constexpr uint64_t kConfirming = 20;
  static constexpr size_t kMostReason = 256;

  // `canary`: as the catalogue has it now. `totals`: since the trial is known.
  CanaryJudgement Judge(const registry::v1::RouteCanary& canary, const TrialFigures& totals,
                        Instant now);

 private:
  void BeginStep(const registry::v1::RouteCanary& canary, const TrialFigures& totals, Instant now);
  void Condemn(const TrialFigures& totals, const TrialFigures& seen, const CanaryLimits& limits);
  bool DoesWell(const TrialFigures& totals, const TrialFigures& seen,
                const CanaryLimits& limits) const;
  // Since the step began; the targets' of the step before too, where they have few.
  TrialFigures Seen(const TrialFigures& totals) const;

  // The step that is judged, without its reason.
  registry::v1::RouteCanary step_;
  Instant since_;
  TrialFigures begun_with_;
  SideFigures targets_before_;
  // When the canary was found late: the totals.
  std::optional<TrialFigures> suspected_;
  // Why it is to be rolled back; empty: it is not.
  std::string condemned_;
  bool known_ = false;
};

// The canary after the verdict, which is not kKeep.
registry::v1::RouteCanary After(const CanaryJudgement& judgement,
                                const registry::v1::RouteCanary& canary);

}  // namespace torchfleet::gateway
