#include "gateway/balance/hash_policy.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <set>
#include <string>
#include <vector>

#include "gateway/balance/hash_ring.h"

namespace torchfleet::gateway {
namespace {

// Any hash does.
uint64_t Hash(const std::string& text) {
  uint64_t state = 0xcbf29ce484222325;
  for (const char c : text) state = (state ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return BalancePolicy::Next(state);
}

HashRing Ring(size_t count, const std::set<size_t>& without = {}) {
  std::vector<uint64_t> names;
  for (size_t i = 0; i < count; ++i) {
    if (!without.contains(i)) names.push_back(Hash("mnist-1-" + std::to_string(i)));
  }
  return HashRing(names);
}

std::vector<uint64_t> Keys(size_t count) {
  std::vector<uint64_t> keys;
  for (size_t i = 0; i < count; ++i) keys.push_back(Hash("user-" + std::to_string(i)));
  return keys;
}

TEST_CASE("HashRing: everybody gets about as many keys", "[gateway][hash]") {
  for (const size_t count : {1, 2, 3, 8, 100, 1000}) {
    const HashRing ring = Ring(count);
    std::vector<double> had(count);
    const size_t keys = std::max<size_t>(20'000, count * 400);
    for (const uint64_t key : Keys(keys)) ++had[ring.Owner(key)];
    const double mean = static_cast<double>(keys) / static_cast<double>(count);
    CAPTURE(count, *std::max_element(had.begin(), had.end()) / mean,
            *std::min_element(had.begin(), had.end()) / mean);
    CHECK(*std::max_element(had.begin(), had.end()) / mean <= 1.3);
    if (count <= 100) CHECK(*std::min_element(had.begin(), had.end()) / mean >= 0.25);
  }
}

TEST_CASE("HashRing: when one leaves its keys alone move, and back when it returns",
          "[gateway][hash]") {
  for (const size_t count : {2, 3, 8, 100}) {
    const HashRing all = Ring(count);
    for (const size_t gone : {size_t{0}, count / 2, count - 1}) {
      const HashRing rest = Ring(count, {gone});
      size_t moved = 0;
      const auto keys = Keys(5000);
      for (const uint64_t key : keys) {
        const size_t before = all.Owner(key);
        const size_t after = rest.Owner(key);
        // By its name; those behind the one that has left are one further on.
        if (all.names()[before] == rest.names()[after]) continue;
        ++moved;
        CHECK(before == gone);
      }
      CAPTURE(count, gone, moved);
      CHECK(moved > 0);
      CHECK(static_cast<double>(moved) / 5000 <= 1.5 / static_cast<double>(count));
    }
  }
}

TEST_CASE("HashRing: whoever is passed over is as one who has left", "[gateway][hash]") {
  const HashRing all = Ring(20);
  const HashRing rest = Ring(20, {3, 11});
  const std::vector<size_t> passed = {3, 11};
  for (const uint64_t key : Keys(5000)) {
    CHECK(all.names()[all.Owner(key, passed)] == rest.names()[rest.Owner(key)]);
  }
}

// The endpoints of a test, with as many calls as they were given.
struct Fleet {
  explicit Fleet(size_t count) : ring(Ring(count)), all(count) {}

  std::optional<size_t> Choose(uint64_t key, double most = 1.25) {
    const auto read = [&](size_t i) { return all[i]; };
    return HashPolicy::Choose(ring, key, most, read, [&] { return Mean(); });
  }
  double Mean() const {
    double sum = 0;
    for (const BalanceCandidate& one : all) sum += one.load;
    return sum / static_cast<double>(all.size());
  }

  HashRing ring;
  std::vector<BalanceCandidate> all;
};

TEST_CASE("HashPolicy: a key's calls go to its owner, and come back to it", "[gateway][hash]") {
  Fleet fleet(8);
  for (const uint64_t key : Keys(500)) {
    const size_t owner = *fleet.Choose(key);
    CHECK(owner == fleet.ring.Owner(key));
    BalanceCandidate& at = fleet.all[owner];
    const BalanceCandidate well = at;
    for (const BalanceCandidate& ill : {BalanceCandidate{.standing = Standing::kAside},
                                        {.standing = Standing::kSlow},
                                        {.full = true},
                                        {.tried = true}}) {
      at = ill;
      const auto other = fleet.Choose(key);
      REQUIRE(other);
      CHECK(*other != owner);
      // Always the same other one.
      CHECK(other == fleet.Choose(key));
      CHECK(*other == fleet.ring.Owner(key, std::vector{owner}));
    }
    at = well;
    CHECK(fleet.Choose(key) == owner);
  }
}

TEST_CASE("HashPolicy: who can run it at once takes it, whatever the mean", "[gateway][hash]") {
  Fleet fleet(100);
  for (BalanceCandidate& one : fleet.all) one.capacity = 4;
  const uint64_t key = Hash("one caller");
  const size_t owner = fleet.ring.Owner(key);
  for (int call = 0; call < 4; ++call) {
    CHECK(fleet.Choose(key) == owner);
    ++fleet.all[owner].load;
  }
  // Nobody else has any: a fifth would be over the mean and wait.
  CHECK(fleet.Choose(key) != owner);
  for (BalanceCandidate& one : fleet.all) one.load = 8;
  CHECK(fleet.Choose(key) == owner);
}

TEST_CASE("HashPolicy: nobody has more than its share, however keys are spread",
          "[gateway][hash]") {
  for (const double most : {1.0, 1.25, 2.0}) {
    Fleet fleet(10);
    const auto keys = Keys(50);
    size_t elsewhere = 0;
    // Every other call has the same key.
    for (size_t call = 0; call < 1000; ++call) {
      const uint64_t key = call % 2 == 0 ? keys[0] : keys[call % keys.size()];
      const auto chosen = fleet.Choose(key, most);
      // After the first few of a key it is for any that wait least.
      if (!chosen) {
        ++elsewhere;
        continue;
      }
      ++fleet.all[*chosen].load;
      // What rounding takes is not over it.
      const double share = std::ceil(most * fleet.Mean() + 1e-6);
      CAPTURE(most, call, *chosen, share);
      CHECK(fleet.all[*chosen].load <= std::max(1.0, share));
    }
    CHECK(elsewhere <= 200);
  }
}

TEST_CASE("HashPolicy: where nobody takes it it is nobody's", "[gateway][hash]") {
  Fleet fleet(3);
  for (BalanceCandidate& one : fleet.all) one.full = true;
  CHECK_FALSE(fleet.Choose(7));
  fleet.all[1].full = false;
  CHECK(fleet.Choose(7) == 1);
}

TEST_CASE("MeanLoad: of all of a few, else of a sample for a moment", "[gateway][hash]") {
  const auto read = [](double load) {
    return [load](size_t) { return BalanceCandidate{.load = load}; };
  };
  const Instant now = Instant::FromStart(absl::Seconds(100));
  MeanLoad few, many;
  CHECK(few.Get(now, 3, read(2)) == 2);
  CHECK(few.Get(now, 3, read(4)) == 4);
  CHECK(many.Get(now, 1000, read(2)) == 2);
  CHECK(many.Get(now, 1000, read(4)) == 2);
  CHECK(many.Get(now + absl::Milliseconds(1), 1000, read(4)) == 4);
  std::set<size_t> looked_at;
  MeanLoad sample;
  sample.Get(now, 1000, [&](size_t i) {
    looked_at.insert(i);
    return BalanceCandidate{};
  });
  CHECK(looked_at.size() == 64);
  CHECK(*looked_at.rbegin() > 900);
}

}  // namespace
}  // namespace torchfleet::gateway
