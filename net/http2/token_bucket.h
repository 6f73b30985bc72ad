#pragma once
// An Allowance as it is used up. Pure.

#include <algorithm>

#include "base/clock.h"
#include "net/http2/options.h"

namespace torchfleet::net {

class TokenBucket {
 public:
  explicit TokenBucket(Allowance allowance) : allowance_(allowance), tokens_(allowance.burst) {}

  // Whether one more is allowed.
  bool Take(Instant now) {
    if (filled_ != Instant()) {
      tokens_ = std::min(allowance_.burst,
                         tokens_ + allowance_.per_second * absl::ToDoubleSeconds(now - filled_));
    }
    filled_ = now;
    if (tokens_ < 1) return false;
    --tokens_;
    return true;
  }
  // One is allowed again: the peer has done something useful.
  void Give() { tokens_ = std::min(allowance_.burst, tokens_ + 1); }

 private:
  const Allowance allowance_;
  double tokens_;
  Instant filled_;
};

}  // namespace torchfleet::net
