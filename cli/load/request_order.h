#pragma once
// In which order the requests of a load are sent. Pure.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <random>
#include <vector>

namespace torchfleet::cli {

// Rounds in which each request comes once: in turns, or, with a seed, shuffled
// anew for each round.
class RequestOrder {
 public:
  // `count` is one at least.
  RequestOrder(size_t count, std::optional<uint64_t> seed) : order_(count), shuffled_(seed) {
    std::iota(order_.begin(), order_.end(), size_t{0});
    if (seed) random_.seed(*seed);
  }

  size_t Next() {
    if (next_ == order_.size()) next_ = 0;
    if (next_ == 0 && shuffled_) std::shuffle(order_.begin(), order_.end(), random_);
    return order_[next_++];
  }

 private:
  std::vector<size_t> order_;
  const bool shuffled_;
  std::mt19937_64 random_;
  size_t next_ = 0;
};

}  // namespace torchfleet::cli
