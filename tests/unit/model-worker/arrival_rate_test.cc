#include "model-worker/batch/arrival_rate.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <cmath>
#include <random>

namespace torchfleet::worker {
namespace {

using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;

constexpr absl::Duration kMs = absl::Milliseconds(1);

TEST_CASE("ArrivalRate: nothing came, nothing comes", "[worker][batch]") {
  ArrivalRate rate;
  CHECK(rate.Within(absl::Seconds(1), Instant::FromStart(absl::Hours(1))) == 0);
}

TEST_CASE("ArrivalRate: learns how many rows come, and forgets", "[worker][batch]") {
  const auto [memory, every, rows] =
      GENERATE(std::tuple(10 * kMs, kMs, int64_t{1}), std::tuple(80 * kMs, kMs / 10, int64_t{4}),
               std::tuple(800 * kMs, 10 * kMs, int64_t{2}));
  ArrivalRate rate;
  Instant now = Instant::FromStart(absl::Hours(1));
  rate.Remember(memory, now);
  for (int i = 0; i < 20'000; ++i) {
    now = now + every;
    rate.Add(rows, now);
  }
  const double expected = static_cast<double>(rows) * absl::FDivDuration(10 * kMs, every);
  CHECK_THAT(rate.Within(10 * kMs, now), WithinRel(expected, 0.05));
  CHECK(rate.Within(absl::ZeroDuration(), now) == 0);
  // With time the memory of it goes.
  const double before = rate.Within(10 * kMs, now);
  CHECK(rate.Within(10 * kMs, now + kMs) < before);
  CHECK_THAT(rate.Within(10 * kMs, now + absl::Hours(1)), WithinAbs(0, 1e-9));
}

TEST_CASE("ArrivalRate: another memory does not change what comes", "[worker][batch]") {
  ArrivalRate rate;
  Instant now = Instant::FromStart(absl::Hours(1));
  for (int i = 0; i < 200; ++i) rate.Add(1, now = now + kMs);
  const double before = rate.Within(5 * kMs, now);
  for (const absl::Duration memory : {300 * kMs, 2 * kMs, absl::ZeroDuration(), 20 * kMs}) {
    rate.Remember(memory, now);
    CHECK_THAT(rate.Within(5 * kMs, now), WithinRel(before, 1e-6));
  }
}

TEST_CASE("ArrivalRate: one call at a time is not expected again while it runs",
          "[worker][batch]") {
  // It comes again `run` after it came; a policy waits for more than 1.5 rows.
  for (const absl::Duration run : {kMs / 10, kMs, 20 * kMs, 500 * kMs}) {
    ArrivalRate rate;
    Instant now = Instant::FromStart(absl::Hours(1));
    for (int i = 0; i < 1000; ++i) {
      rate.Add(1, now);
      if (i > 0) REQUIRE(rate.Within(run, now) < 1.5);
      // When it is over, it is known how long a run takes.
      now = now + run;
      rate.Remember(8 * run, now);
    }
  }
}

TEST_CASE("ArrivalRate: never negative, never no number", "[worker][batch]") {
  std::mt19937 random(1);
  ArrivalRate rate;
  Instant now;
  for (int i = 0; i < 20'000; ++i) {
    // Threads tell their moments in any order.
    now = now + absl::Microseconds(static_cast<int>(random() % 1000) - 200);
    if (random() % 3 == 0) rate.Add(random() % 64, now);
    if (random() % 50 == 0) rate.Remember(absl::Microseconds(random() % 1'000'000), now);
    const double within = rate.Within(absl::Microseconds(random() % 100'000), now);
    REQUIRE(within >= 0);
    REQUIRE(std::isfinite(within));
  }
}

}  // namespace
}  // namespace torchfleet::worker
