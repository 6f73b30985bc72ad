#include "gateway/balance/hash_ring.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "gateway/balance/balance_policy.h"

namespace torchfleet::gateway {

HashRing::HashRing(std::vector<uint64_t> names) : names_(std::move(names)) {
  points_.reserve(names_.size() * kPoints);
  for (size_t i = 0; i < names_.size(); ++i) {
    uint64_t state = names_[i];
    for (size_t point = 0; point < kPoints; ++point) {
      points_.push_back({BalancePolicy::Next(state), static_cast<uint32_t>(i)});
    }
  }
  std::sort(points_.begin(), points_.end(), [](const Point& a, const Point& b) {
    return a.at != b.at ? a.at < b.at : a.index < b.index;
  });
  const size_t pieces = std::bit_ceil(std::max<size_t>(2, points_.size()));
  shift_ = 64 - std::countr_zero(pieces);
  pieces_.reserve(pieces);
  size_t next = 0;
  for (uint64_t piece = 0; piece < pieces; ++piece) {
    while (next < points_.size() && points_[next].at < piece << shift_) ++next;
    pieces_.push_back(static_cast<uint32_t>(next));
  }
}

size_t HashRing::After(uint64_t at) const {
  size_t place = pieces_[at >> shift_];
  while (place < points_.size() && points_[place].at < at) ++place;
  return place == points_.size() ? 0 : place;
}

size_t HashRing::Owner(uint64_t key, std::span<const size_t> passed) const {
  uint64_t nearest = std::numeric_limits<uint64_t>::max();
  size_t owner = points_.front().index;
  for (int probe = 0; probe < kProbes; ++probe) {
    const uint64_t at = BalancePolicy::Next(key);
    size_t place = After(at);
    for (size_t step = 0; step < passed.size() * kPoints; ++step) {
      if (std::find(passed.begin(), passed.end(), points_[place].index) == passed.end()) break;
      place = place + 1 == points_.size() ? 0 : place + 1;
    }
    // Round the ring, as unsigned numbers go.
    const uint64_t distance = points_[place].at - at;
    if (distance > nearest) continue;
    nearest = distance;
    owner = points_[place].index;
  }
  return owner;
}

}  // namespace torchfleet::gateway
