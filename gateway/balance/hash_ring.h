#pragma once
// Which endpoint a key belongs to: the same in every gateway that knows the same
// endpoints, and when one comes or goes only the keys move that must: to it, or
// from it.
//
// Each endpoint has kPoints points on a ring, by a hash of its name. A key is looked
// up at kProbes places; of the points that follow on these it belongs to the nearest.
// That spreads keys as evenly as a hundred points an endpoint and one place do, and
// a ring of 1,000 is made in a fortieth of the time.
//
// Source: B. Appleton and M. O'Reilly, "Multi-probe consistent hashing", 2015, which
// has one point an endpoint and 21 places; with that some endpoints get next to
// nothing.
//
// A value; pure.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace torchfleet::gateway {

class HashRing {
 public:
  static constexpr size_t kPoints = 4;
  static constexpr int kProbes = 8;

  // `names`: the hash of each endpoint's name, by its index.
  explicit HashRing(std::vector<uint64_t> names);

  // The index of the endpoint that `key`, a hash, belongs to where those at `passed`
  // are not there. At least one is.
  size_t Owner(uint64_t key, std::span<const size_t> passed = {}) const;

  size_t size() const { return names_.size(); }
  const std::vector<uint64_t>& names() const { return names_; }

 private:
  struct Point {
    uint64_t at;
    uint32_t index;
  };

  // The place of the first point at or after it, round the ring.
  size_t After(uint64_t at) const;

  std::vector<uint64_t> names_;
  std::vector<Point> points_;  // sorted
  // The ring cut into equal pieces, as many as points or more: where in points_ each
  // begins.
  std::vector<uint32_t> pieces_;
  int shift_ = 63;
};

}  // namespace torchfleet::gateway
