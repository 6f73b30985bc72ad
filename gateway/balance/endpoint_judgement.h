#pragma once
// What is remembered of an endpoint from one judgement to the next.
//
// Only whoever judges touches it. Plain values.

#include <cstdint>

#include "absl/time/time.h"
#include "base/clock.h"

namespace torchfleet::gateway {

// An endpoint that nothing is known against may have so many calls of a gateway.
inline constexpr int64_t kHighestLimit = 4096;

// What was counted of an endpoint since it came.
struct EndpointTotals {
  static constexpr int kLogUnit = 1024;

  uint64_t answers = 0, errors = 0;
  // Of all answers: microseconds, and their binary logarithms in kLogUnits.
  uint64_t latency = 0, log_latency = 0;
};

//            outlier                    its time is over
//   serving ─────────► ejected ───────────────────────────► probed
//      ▲                  ▲            a probe fails            │
//      │                  └─────────────────────────────────────┤
//      └────────────────────────────────────────────────────────┘
//                          a probe is answered
enum class EjectionState : uint8_t { kServing, kEjected, kProbed };

struct EndpointJudgement {
  uint64_t life = 0;
  EndpointTotals counted = {};
  // Fading sums: of a few seconds, and of the last one.
  double answers = 0, errors = 0;
  double last_answers = 0, last_latency = 0;  // of the last judgement alone
  double recent_answers = 0, recent_latency = 0, recent_log_latency = 0;

  EjectionState state = EjectionState::kServing;
  Instant until = {};     // ejected so long
  int ejections = 0;      // in a row
  Instant returned = {};  // has served since

  // Microseconds of a call that does not wait.
  double baseline = 0;
  Instant limit_stands_until = {};
};

}  // namespace torchfleet::gateway
