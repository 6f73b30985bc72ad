#pragma once
// Judges the endpoints of one version of a model against each other, many times a
// second: ejects outliers, has them probed before they return, and sets how many
// calls each may have.
//
// An ejection takes a second, and twice as long each time it is needed again, up
// to a minute; who then serves as long in peace has it forgotten. When its time
// is over an endpoint is probed, once a second until it answers, and begins anew
// as a newcomer does.
//
// Pure: time comes in as a value, and probes are somebody else's to make. Keeps
// what it must remember with each endpoint, so any judge may go on with it. One
// caller at a time.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "gateway/balance/endpoint_health.h"
#include "gateway/balance/outlier_policy.h"

namespace torchfleet::gateway {

// How often to judge.
inline constexpr absl::Duration kJudgeEvery = absl::Milliseconds(100);

class GroupJudge {
 public:
  static constexpr absl::Duration kFirstEjection = absl::Seconds(1);
  static constexpr absl::Duration kLongestEjection = absl::Minutes(1);
  static constexpr absl::Duration kProbeAgain = absl::Seconds(1);

  struct Ejection {
    size_t endpoint;
    OutlierVerdict why;
    absl::Duration lasts;
  };
  // By their places in `endpoints`.
  struct Outcome {
    std::vector<Ejection> ejections;
    std::vector<size_t> to_probe;
  };

  // `endpoints`: those that are ready.
  static Outcome Judge(Instant now, std::span<EndpointHealth* const> endpoints);
  // What came of a probe that Judge asked for.
  static void Probed(Instant now, EndpointHealth& endpoint, bool answered);
};

}  // namespace torchfleet::gateway
