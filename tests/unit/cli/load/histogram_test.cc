#include "cli/load/histogram.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <random>
#include <vector>

namespace torchfleet::cli {
namespace {

// In nanoseconds; each order of size is as likely as another.
std::vector<int64_t> RandomValues(std::mt19937_64& random, size_t count) {
  std::uniform_real_distribution<double> exponent(0, std::log2(4e12));
  std::vector<int64_t> values(count);
  for (int64_t& value : values) value = static_cast<int64_t>(std::exp2(exponent(random)));
  return values;
}

Histogram Of(const std::vector<int64_t>& values) {
  Histogram histogram;
  for (const int64_t value : values) histogram.Record(absl::Nanoseconds(value));
  return histogram;
}

TEST_CASE("Histogram: a quantile is never too low and at most a thousandth too high",
          "[cli][load]") {
  std::mt19937_64 random(7);
  for (const size_t count : {1, 2, 3, 10, 100, 999, 5000}) {
    auto values = RandomValues(random, count);
    const Histogram histogram = Of(values);
    std::sort(values.begin(), values.end());
    for (size_t rank = 1; rank <= count; ++rank) {
      const double share = static_cast<double>(rank) / static_cast<double>(count);
      const int64_t told = absl::ToInt64Nanoseconds(histogram.Quantile(share));
      const int64_t exact = values[rank - 1];
      CAPTURE(count, rank, exact, told);
      REQUIRE(told >= exact);
      REQUIRE(told - exact <= exact / 1000);
    }
  }
}

TEST_CASE("Histogram: small values are exact, and so is the greatest", "[cli][load]") {
  Histogram histogram;
  for (int64_t value = 0; value < 2048; ++value) histogram.Record(absl::Nanoseconds(value));
  for (int64_t value = 0; value < 2048; ++value) {
    const double share = static_cast<double>(value + 1) / 2048;
    REQUIRE(histogram.Quantile(share) == absl::Nanoseconds(value));
  }
  histogram.Record(absl::Nanoseconds(123'456'789));
  CHECK(histogram.Quantile(1) == absl::Nanoseconds(123'456'789));
  CHECK(histogram.max() == absl::Nanoseconds(123'456'789));
}

TEST_CASE("Histogram: two that are added tell what one would have", "[cli][load]") {
  std::mt19937_64 random(8);
  const auto some = RandomValues(random, 500), others = RandomValues(random, 700);
  auto all = some;
  all.insert(all.end(), others.begin(), others.end());
  const Histogram whole = Of(all);
  Histogram sum = Of(some);
  sum.Add(Of(others));
  CHECK(sum.count() == 1200);
  CHECK(sum.max() == whole.max());
  CHECK(absl::AbsDuration(sum.Mean() - whole.Mean()) <= absl::Nanoseconds(1));
  for (const double share : {0.0, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    CHECK(sum.Quantile(share) == whole.Quantile(share));
  }
}

TEST_CASE("Histogram: without values, and when it is cleared, all is zero", "[cli][load]") {
  Histogram histogram = Of({5, 7});
  CHECK(histogram.Mean() == absl::Nanoseconds(6));
  histogram.Clear();
  for (const Histogram& empty : {histogram, Histogram()}) {
    CHECK(empty.count() == 0);
    CHECK(empty.Quantile(0.5) == absl::ZeroDuration());
    CHECK(empty.max() == absl::ZeroDuration());
    CHECK(empty.Mean() == absl::ZeroDuration());
  }
  histogram.Record(absl::Nanoseconds(3));
  CHECK(histogram.Quantile(1) == absl::Nanoseconds(3));
}

TEST_CASE("Histogram: what is outside its range counts as the nearest inside", "[cli][load]") {
  Histogram histogram;
  histogram.Record(-absl::Seconds(1));
  CHECK(histogram.Quantile(1) == absl::ZeroDuration());
  histogram.Record(absl::InfiniteDuration());
  histogram.Record(absl::Hours(100));
  CHECK(histogram.count() == 3);
  CHECK(histogram.max() == absl::Nanoseconds((int64_t{1} << 42) - 1));
  CHECK(histogram.Quantile(1) == histogram.max());
}

TEST_CASE("Histogram: a rank is not one higher by rounding", "[cli][load]") {
  Histogram histogram;
  for (int64_t value = 1; value <= 100; ++value) histogram.Record(absl::Nanoseconds(value));
  // 0.07 * 100 is a little over 7 in doubles.
  CHECK(histogram.Quantile(0.07) == absl::Nanoseconds(7));
  CHECK(histogram.Quantile(0.99) == absl::Nanoseconds(99));
}

}  // namespace
}  // namespace torchfleet::cli
