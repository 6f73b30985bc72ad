#pragma once
// Picks the endpoint for a call that has a key: the one that the key belongs to,
// while it takes calls and has no more than it can run at once or than its share of
// them; else whom the key would belong to if that one were not there, and so on.
//
// Source: V. Mirrokni, M. Thorup and M. Zadimoghaddam, "Consistent Hashing with
// Bounded Loads", 2016. Their bound alone, so much over the mean, would scatter keys
// while nearly nobody calls: here whoever has an idle slot takes the call.
//
// Pure: time comes in as a value.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "absl/time/time.h"
#include "base/clock.h"
#include "gateway/balance/balance_policy.h"
#include "gateway/balance/hash_ring.h"

namespace torchfleet::gateway {

// The mean load of endpoints: of a fixed few where there are many, and then as it
// was up to a millisecond ago. Not thread-safe.
class MeanLoad {
 public:
  template <typename Read>
  double Get(Instant now, size_t count, const Read& read) {
    if (count > kFew && now < until_) return mean_;
    until_ = now + kHolds;
    const size_t looked_at = std::min(count, kMost);
    double sum = 0;
    for (size_t i = 0; i < looked_at; ++i) sum += read(i * count / looked_at).load;
    mean_ = sum / static_cast<double>(looked_at);
    return mean_;
  }

 private:
  static constexpr size_t kFew = 8;
  static constexpr size_t kMost = 64;
  static constexpr absl::Duration kHolds = absl::Milliseconds(1);

  double mean_ = 0;
  Instant until_;
};

class HashPolicy {
 public:
  // Of so many endpoints that a key belongs to in turn; after that it belongs to
  // nobody.
  static constexpr size_t kMost = 8;

  // `most`: how many times the mean one may have. `read(i)` gives candidate `i`,
  // `mean()` the mean load. Nothing: none of them takes it.
  template <typename Read, typename Mean>
  static std::optional<size_t> Choose(const HashRing& ring, uint64_t key, double most,
                                      const Read& read, const Mean& mean) {
    std::array<size_t, kMost> passed{};
    std::optional<double> share;
    for (size_t turn = 0; turn < std::min(kMost, ring.size()); ++turn) {
      const size_t i = ring.Owner(key, std::span(passed).first(turn));
      const BalanceCandidate candidate = read(i);
      if (BalancePolicy::WillDo(candidate)) {
        const double load = candidate.load + 1;
        if (load <= candidate.capacity) return i;
        // With this call.
        if (!share) share = std::ceil(most * (mean() + 1.0 / static_cast<double>(ring.size())));
        if (load <= *share) return i;
      }
      passed[turn] = i;
    }
    return std::nullopt;
  }
};

}  // namespace torchfleet::gateway
