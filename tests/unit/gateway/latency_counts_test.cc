#include "gateway/route/latency_counts.h"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <random>

namespace torchfleet::gateway {
namespace {

double Millis(std::optional<absl::Duration> duration) {
  REQUIRE(duration.has_value());
  return absl::ToDoubleMilliseconds(*duration);
}

TEST_CASE("LatencyCounts: quantiles are right to a twentieth", "[gateway][route]") {
  LatencyCounts counts;
  CHECK_FALSE(counts.Quantile(0.95).has_value());
  for (int i = 1; i <= 1000; ++i) counts.Add(absl::Milliseconds(i));
  CHECK(counts.total() == 1000);
  CHECK(Millis(counts.Quantile(0.95)) == Catch::Approx(950).epsilon(0.05));
  CHECK(Millis(counts.Quantile(0.5)) == Catch::Approx(500).epsilon(0.05));
  CHECK(Millis(counts.Quantile(1)) == Catch::Approx(1000).epsilon(0.05));
}

TEST_CASE("LatencyCounts: what is beyond its ends is at its ends", "[gateway][route]") {
  LatencyCounts counts;
  for (const auto latency : {absl::ZeroDuration(), -absl::Seconds(1), absl::Nanoseconds(3)}) {
    counts.Add(latency);
  }
  CHECK(*counts.Quantile(1) <= absl::Microseconds(2));
  counts.Add(absl::Hours(24 * 365));
  CHECK(*counts.Quantile(1) >= absl::Minutes(30));
}

TEST_CASE("LatencyCounts: bounds hold the quantile, and few answers have none",
          "[gateway][route]") {
  std::mt19937 random(1);
  std::exponential_distribution<double> latency(1 / 10.0);
  const double truth = 29.957;  // the 95th percentile of 10 ms on average
  for (int trial = 0; trial < 200; ++trial) {
    LatencyCounts counts;
    for (int i = 0; i < 400; ++i) counts.Add(absl::Milliseconds(latency(random)));
    // The upper end of a bucket is up to 4.5 % over what is in it.
    CHECK(Millis(counts.LowerBound(0.95, 4)) < truth * 1.045);
    CHECK(Millis(counts.UpperBound(0.95, 4)) > truth);
  }
  LatencyCounts few;
  for (int i = 0; i < 100; ++i) few.Add(absl::Milliseconds(5));
  CHECK_FALSE(few.UpperBound(0.95, 3).has_value());
  CHECK(few.LowerBound(0.95, 3).has_value());
  CHECK_FALSE(LatencyCounts().LowerBound(0.95, 3).has_value());
}

TEST_CASE("LatencyCounts: what came since is the difference", "[gateway][route]") {
  LatencyCounts counts;
  for (int i = 0; i < 50; ++i) counts.Add(absl::Milliseconds(1));
  const LatencyCounts earlier = counts;
  for (int i = 0; i < 10; ++i) counts.Add(absl::Milliseconds(100));
  const LatencyCounts since = counts.Since(earlier);
  CHECK(since.total() == 10);
  CHECK(Millis(since.Quantile(0.01)) == Catch::Approx(100).epsilon(0.05));
  LatencyCounts sum = earlier;
  sum += since;
  CHECK(sum.total() == counts.total());
}

}  // namespace
}  // namespace torchfleet::gateway
