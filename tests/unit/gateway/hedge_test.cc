#include <catch2/catch_test_macros.hpp>

#include "gateway/forward/hedge_policy.h"
#include "gateway/forward/latency_quantile.h"

namespace torchfleet::gateway {
namespace {

TEST_CASE("LatencyQuantile: nothing of a few, then what nearly all take", "[gateway][hedge]") {
  LatencyQuantile quantile;
  for (int i = 0; i < 9; ++i) quantile.Add(absl::Milliseconds(5));
  CHECK_FALSE(quantile.Get());
  // Several times the slowest one.
  quantile.Add(absl::Milliseconds(10));
  REQUIRE(quantile.Get());
  CHECK(*quantile.Get() >= absl::Milliseconds(40));
  CHECK(*quantile.Get() <= absl::Milliseconds(48));
  for (int i = 0; i < 40; ++i) quantile.Add(absl::Milliseconds(10));
  CHECK(*quantile.Get() <= absl::Milliseconds(12));
  // Two of a hundred take twenty times as long.
  for (int i = 0; i < 1000; ++i) quantile.Add(absl::Milliseconds(i % 50 == 0 ? 200 : 10));
  REQUIRE(quantile.Get());
  CHECK(*quantile.Get() >= absl::Milliseconds(10));
  CHECK(*quantile.Get() <= absl::Milliseconds(12));
  // Four of a hundred are more than are beyond it.
  for (int i = 0; i < 20'000; ++i) quantile.Add(absl::Milliseconds(i % 25 == 0 ? 200 : 10));
  CHECK(*quantile.Get() >= absl::Milliseconds(200));
}

TEST_CASE("LatencyQuantile: of the share that is asked for", "[gateway][hedge]") {
  LatencyQuantile quantile;
  CHECK_FALSE(quantile.Get(0.5));
  for (int i = 0; i < 1600; ++i) quantile.Add(absl::Milliseconds(i % 10 == 0 ? 200 : 10));
  CHECK(*quantile.Get(0.5) <= absl::Milliseconds(12));
  CHECK(*quantile.Get(0.975) >= absl::Milliseconds(200));
  CHECK(quantile.Get(LatencyQuantile::kShare) == quantile.Get());
  // It follows, too.
  CHECK(*quantile.Get(0.8) <= absl::Milliseconds(12));
  for (int i = 0; i < 1600; ++i) quantile.Add(absl::Milliseconds(200));
  CHECK(*quantile.Get(0.8) >= absl::Milliseconds(200));
}

TEST_CASE("LatencyQuantile: forgets", "[gateway][hedge]") {
  LatencyQuantile quantile;
  for (int i = 0; i < 100'000; ++i) quantile.Add(absl::Seconds(1));
  for (int i = 0; i < 40'000; ++i) quantile.Add(absl::Milliseconds(1));
  CHECK(*quantile.Get() < absl::Milliseconds(2));
}

TEST_CASE("LatencyQuantile: takes whatever comes", "[gateway][hedge]") {
  LatencyQuantile quantile;
  for (int i = 0; i < 64; ++i) quantile.Add(absl::ZeroDuration());
  CHECK(*quantile.Get() <= absl::Microseconds(2));
  for (int i = 0; i < 20'000; ++i) quantile.Add(absl::Hours(100));
  CHECK(*quantile.Get() >= absl::Minutes(30));
}

TEST_CASE("HedgePolicy: after what is usual, if there is time and somebody else",
          "[gateway][hedge]") {
  const auto usual = std::optional(absl::Milliseconds(20));
  const auto ever = absl::InfiniteDuration();
  CHECK(HedgePolicy::Delay(usual, ever, 1) == absl::Milliseconds(20));
  CHECK_FALSE(HedgePolicy::Delay(usual, ever, 0));
  CHECK_FALSE(HedgePolicy::Delay(std::nullopt, ever, 1));
  CHECK_FALSE(HedgePolicy::Delay(usual, absl::Milliseconds(20), 1));
  CHECK(HedgePolicy::Delay(absl::Microseconds(50), ever, 1) == HedgePolicy::kSoonest);
}

TEST_CASE("HedgePolicy: only where there is room and no known fault", "[gateway][hedge]") {
  CHECK(HedgePolicy::MayGo({.index = 1}));
  CHECK_FALSE(HedgePolicy::MayGo({.index = 1, .aside = true}));
  CHECK_FALSE(HedgePolicy::MayGo({.full = true}));
}

TEST_CASE("HedgePolicy: given up after less than is usual says nothing of a worker",
          "[gateway][hedge]") {
  CHECK(HedgePolicy::WasSilent(absl::Milliseconds(20), absl::Milliseconds(21)));
  CHECK_FALSE(HedgePolicy::WasSilent(absl::Milliseconds(20), absl::Milliseconds(19)));
  CHECK_FALSE(HedgePolicy::WasSilent(absl::Microseconds(20), absl::Milliseconds(1)));
  CHECK_FALSE(HedgePolicy::WasSilent(std::nullopt, absl::Seconds(5)));
}

}  // namespace
}  // namespace torchfleet::gateway
