#pragma once
// Decides when a call that waits for its answer is sent to a second worker: when
// it has waited for longer than nearly all calls of its model do.
//
// Whoever answers first is heard, the other is cancelled. So that rescue never
// makes a crowd, a hedge is paid from the retry budget, goes only where there is
// room, and is the call's only one.
//
// Source: J. Dean and L. A. Barroso, "The Tail at Scale", 2013.
//
// Pure.

#include <optional>

#include "absl/time/time.h"
#include "gateway/balance/balance_policy.h"

namespace torchfleet::gateway {

class HedgePolicy {
 public:
  // Sooner nobody would notice.
  static constexpr absl::Duration kSoonest = absl::Milliseconds(2);

  // How long after an attempt began. Nothing: not at all. `usual`: of the model's
  // answers; `left`: until the call's deadline; `others`: endpoints not tried.
  static std::optional<absl::Duration> Delay(std::optional<absl::Duration> usual,
                                             absl::Duration left, size_t others) {
    if (!usual || others == 0) return std::nullopt;
    const absl::Duration delay = *usual > kSoonest ? *usual : kSoonest;
    if (delay >= left) return std::nullopt;
    return delay;
  }

  // Whether it may go to what was chosen.
  static bool MayGo(const BalanceChoice& choice) { return choice.index && !choice.aside; }

  // Whether an attempt that was given up then says anything of its worker.
  static bool WasSilent(std::optional<absl::Duration> usual, absl::Duration elapsed) {
    return usual && elapsed >= *usual && elapsed >= kSoonest;
  }
};

}  // namespace torchfleet::gateway
