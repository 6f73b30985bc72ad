#pragma once
// When the calls of an open loop are to begin, whatever becomes of those before.
// Pure.

#include <memory>
#include <optional>
#include <random>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace torchfleet::cli {

class Arrivals {
 public:
  virtual ~Arrivals() = default;
  // Since the run's beginning, never earlier than the one before; nothing after
  // the last.
  virtual std::optional<absl::Duration> Next() = 0;
};

// A Poisson process: gaps are exponential with mean 1/rate. `rate` in calls a
// second, above zero. Several of them side by side are again one, of all rates.
class PoissonArrivals final : public Arrivals {
 public:
  PoissonArrivals(double rate, uint64_t seed) : gaps_(rate), random_(seed) {}
  std::optional<absl::Duration> Next() override {
    at_ += absl::Seconds(gaps_(random_));
    return at_;
  }

 private:
  std::exponential_distribution<double> gaps_;
  std::mt19937_64 random_;
  absl::Duration at_;
};

// Times that were given: each `stride`th from the `first`.
class GivenArrivals final : public Arrivals {
 public:
  // `times` outlives it.
  GivenArrivals(const std::vector<absl::Duration>& times, size_t first, size_t stride)
      : times_(times), next_(first), stride_(stride) {}
  std::optional<absl::Duration> Next() override {
    if (next_ >= times_.size()) return std::nullopt;
    const absl::Duration time = times_[next_];
    next_ += stride_;
    return time;
  }

 private:
  const std::vector<absl::Duration>& times_;
  size_t next_;
  const size_t stride_;
};

// A time in seconds on each line, in order; empty lines and those after # do not
// count. INVALID_ARGUMENT names the line that is none.
absl::StatusOr<std::vector<absl::Duration>> ParseArrivals(std::string_view text);

}  // namespace torchfleet::cli
