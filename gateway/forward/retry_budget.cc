#include "gateway/forward/retry_budget.h"

#include <algorithm>

namespace torchfleet::gateway {
namespace {

constexpr int64_t kToken = 100;

int64_t Micros(Instant at) { return absl::ToInt64Microseconds(at.since_start()); }

}  // namespace

RetryBudget::RetryBudget(const Options& options, Instant now)
    : options_(options), tokens_(options.initial * kToken), refilled_(Micros(now)) {}

void RetryBudget::Deposit() {
  Add(options_.percent);
  deposited_.store(deposited_.load(std::memory_order_relaxed) + options_.percent,
                   std::memory_order_relaxed);
}

bool RetryBudget::Withdraw(Instant now) {
  Refill(now);
  int64_t tokens = tokens_.load(std::memory_order_relaxed);
  do {
    if (tokens < kToken) return false;
  } while (!tokens_.compare_exchange_weak(tokens, tokens - kToken, std::memory_order_relaxed));
  return true;
}

void RetryBudget::Add(int64_t amount) {
  const int64_t most = options_.capacity * kToken;
  int64_t tokens = tokens_.load(std::memory_order_relaxed);
  int64_t more = 0;
  do {
    more = std::min(tokens + amount, most);
    // A full bucket is only read, so that calls do not contend for it.
    if (more == tokens) return;
  } while (!tokens_.compare_exchange_weak(tokens, more, std::memory_order_relaxed));
}

void RetryBudget::Refill(Instant now) {
  int64_t since = refilled_.load(std::memory_order_relaxed);
  const int64_t elapsed = Micros(now) - since;
  const int64_t amount = elapsed * options_.per_second * kToken / 1'000'000;
  if (amount <= 0) return;
  // Whoever wins pays in; the others see a bucket that was just filled.
  if (refilled_.compare_exchange_strong(since, Micros(now), std::memory_order_relaxed)) {
    Add(std::max<int64_t>(0, amount - deposited_.exchange(0, std::memory_order_relaxed)));
  }
}

}  // namespace torchfleet::gateway
