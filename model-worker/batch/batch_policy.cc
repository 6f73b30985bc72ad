#include "model-worker/batch/batch_policy.h"

#include <algorithm>

namespace torchfleet::worker {
namespace {

BatchDecision WaitUntil(const BatchChance& chance, Instant until, Instant now) {
  until = std::min(until, chance.latest_start);
  if (until <= now) return {.rows = chance.rows};
  return {.rows = 0, .until = until};
}

}  // namespace

BatchDecision DecideBatch(const BatchRules& rules, const BatchChance& chance, Instant now) {
  if (chance.full || chance.rows >= rules.most) return {.rows = chance.rows};
  const auto over = std::upper_bound(rules.preferred.begin(), rules.preferred.end(), chance.rows);
  if (over != rules.preferred.begin()) return {.rows = *(over - 1)};
  if (rules.delay) return WaitUntil(chance, chance.oldest + *rules.delay, now);
  // Half a row: the next one must be expected soon enough to be worth it.
  if (static_cast<double>(chance.rows) >= chance.rows_while_fixed - 0.5) {
    return {.rows = chance.rows};
  }
  return WaitUntil(chance, chance.oldest + chance.fixed, now);
}

}  // namespace torchfleet::worker
