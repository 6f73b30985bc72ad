#pragma once
// Whether a version on trial does as well as the targets beside it.
//
// Errors: it is worse when the difference of both failure rates is over what the
// rule allows, as sure as kErrorZ standard deviations by Newcombe's hybrid score
// interval (Statistics in Medicine 17, 1998, method 10, from Wilson's). So sure, as
// the question is asked several times a second for as long as the trial lasts; five
// calls that failed must be among them.
// Latency: it is suspect when its 95th percentile is over what the rule allows, its
// lower bound against the upper one of the targets'; kNoMatter more is nothing. A
// suspicion is confirmed by answers that came after it (CanaryTrial).
//
// Beside targets of which too little is known (none of their calls are left at a
// step of 100 %, and the gateway has not seen the step before) a canary is worse
// when more than half of its calls fail, and its latency is not judged.
//
// Pure.

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "gateway/route/latency_counts.h"
#include "torchfleet/registry/v1/catalogue.pb.h"

namespace torchfleet::gateway {

// What is known of one side's calls.
struct SideFigures {
  uint64_t calls = 0;
  uint64_t failed = 0;
  // Of those that did not fail.
  LatencyCounts latencies = {};

  SideFigures& operator+=(const SideFigures& other);
  SideFigures Since(const SideFigures& earlier) const;
};

struct TrialFigures {
  SideFigures canary = {};
  SideFigures targets = {};

  TrialFigures Since(const TrialFigures& earlier) const {
    return {canary.Since(earlier.canary), targets.Since(earlier.targets)};
  }
};

// What the rule allows, with its defaults.
struct CanaryLimits {
  absl::Duration step_time = absl::ZeroDuration();
  uint64_t min_calls = 0;
  // Of 1.
  double more_errors = 0;
  // Of the targets'.
  double latency = 0;

  static CanaryLimits Of(const registry::v1::RouteCanary& canary);
};

enum class CanaryStanding {
  kWorse,
  // By the figures a little too much, which may be chance.
  kOpen,
  kAsGood,
};

class CanaryPolicy {
 public:
  static constexpr double kErrorZ = 4;
  static constexpr uint64_t kFewestFailed = 5;
  static constexpr double kLatencyZ = 3;
  static constexpr double kQuantile = 0.95;
  // Fewer answers tell nothing of a percentile.
  static constexpr uint64_t kFewestAnswers = 20;
  // Fewer calls of the targets are none to be measured by.
  static constexpr uint64_t kFewestOfTargets = 20;
  static constexpr absl::Duration kNoMatter = absl::Milliseconds(1);

  static CanaryStanding Errors(const TrialFigures& seen, const CanaryLimits& limits);
  // kWorse is a suspicion.
  static CanaryStanding Latency(const TrialFigures& seen, const CanaryLimits& limits);
  // Of answers after a suspicion, beside `targets`: whether these are late too.
  static bool ConfirmsLate(const SideFigures& fresh, const SideFigures& targets,
                           const CanaryLimits& limits);

  // As people read it.
  static std::string ErrorsText(const TrialFigures& seen);
  static std::string LatencyText(const TrialFigures& seen);
};

}  // namespace torchfleet::gateway
