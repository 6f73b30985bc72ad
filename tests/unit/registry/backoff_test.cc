#include "registry/client/backoff.h"

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <random>

namespace torchfleet::registry {
namespace {

TEST_CASE("Backoff: bounds double up to two seconds, each wait anything up to its bound",
          "[registry][client]") {
  absl::Duration longest, shortest = absl::InfiniteDuration();
  for (uint32_t seed = 1; seed <= 200; ++seed) {
    Backoff backoff(seed);
    for (const int milliseconds : {100, 200, 400, 800, 1600, 2000}) {
      const absl::Duration wait = backoff.Next();
      CHECK(wait >= absl::ZeroDuration());
      CHECK(wait <= absl::Milliseconds(milliseconds));
    }
    const absl::Duration last = backoff.Next();
    longest = std::max(longest, last);
    shortest = std::min(shortest, last);
  }
  CHECK(longest > absl::Seconds(1.9));
  CHECK(shortest < absl::Seconds(0.1));
}

TEST_CASE("Backoff: begins again after a success", "[registry][client]") {
  Backoff backoff(2);
  for (int i = 0; i < 10; ++i) backoff.Next();
  backoff.Reset();
  CHECK(backoff.Next() <= absl::Milliseconds(100));
}

TEST_CASE("Backoff: a thousand clients spread evenly over a window", "[registry][client]") {
  std::array<int, 10> tenths{};
  std::mt19937 seeds(1);
  for (int i = 0; i < 1000; ++i) {
    Backoff backoff(seeds());
    const absl::Duration wait = backoff.Within(absl::Seconds(1));
    const auto tenth = static_cast<size_t>(absl::ToInt64Milliseconds(wait) / 100);
    ++tenths[std::min<size_t>(tenth, 9)];
  }
  for (const int count : tenths) {
    CHECK(count > 50);
    CHECK(count < 200);
  }
}

}  // namespace
}  // namespace torchfleet::registry
