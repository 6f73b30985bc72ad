#include "gateway/balance/balance_policy.h"

#include <utility>

namespace torchfleet::gateway {

std::optional<size_t> BalancePolicy::Choose(std::span<const BalanceCandidate> candidates,
                                            uint64_t random) {
  using Rank = std::pair<bool, int64_t>;
  std::optional<Rank> best;
  uint64_t equals = 0;
  for (const BalanceCandidate& candidate : candidates) {
    if (candidate.tried) continue;
    const Rank rank{candidate.failed_lately, candidate.outstanding};
    if (!best || rank < *best) {
      best = rank;
      equals = 1;
    } else if (rank == *best) {
      ++equals;
    }
  }
  if (!best) return std::nullopt;
  uint64_t skip = random % equals;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const BalanceCandidate& candidate = candidates[i];
    if (candidate.tried || Rank{candidate.failed_lately, candidate.outstanding} != *best) continue;
    if (skip-- == 0) return i;
  }
  return std::nullopt;
}

}  // namespace torchfleet::gateway
