#include "base/latency_buckets.h"

#include <catch2/catch_test_macros.hpp>
#include <cmath>

namespace torchfleet {
namespace {

size_t Of(absl::Duration latency) {
  return LatencyBuckets::Of(std::log2(absl::ToDoubleMicroseconds(latency)));
}

TEST_CASE("LatencyBuckets: half octaves from 16 us, the ends take what is beyond",
          "[base][latency]") {
  CHECK(Of(absl::Microseconds(1)) == 0);
  CHECK(Of(absl::Microseconds(22)) == 0);
  CHECK(Of(absl::Microseconds(23)) == 1);
  CHECK(Of(absl::Microseconds(33)) == 2);
  CHECK(Of(absl::Seconds(50)) == LatencyBuckets::kCount - 2);
  CHECK(Of(absl::Seconds(70)) == LatencyBuckets::kCount - 1);
  CHECK(Of(absl::Hours(70)) == LatencyBuckets::kCount - 1);
}

TEST_CASE("LatencyBuckets: quantiles are right to half an octave, whatever the latency",
          "[base][latency]") {
  for (double micros = 20; micros < 60e6; micros *= 1.07) {
    LatencyBuckets::Counts counts{};
    counts[LatencyBuckets::Of(std::log2(micros))] = 3;
    for (const double share : {0.01, 0.5, 0.99}) {
      CAPTURE(micros, share);
      const auto quantile = LatencyBuckets::Quantile(counts, share);
      REQUIRE(quantile);
      CHECK(std::abs(std::log2(absl::ToDoubleMicroseconds(*quantile) / micros)) <= 0.5);
    }
  }
}

TEST_CASE("LatencyBuckets: a quantile lies where its share of the counts does", "[base][latency]") {
  LatencyBuckets::Counts counts{};
  CHECK_FALSE(LatencyBuckets::Quantile(counts, 0.5));
  counts[Of(absl::Milliseconds(1))] = 98;
  counts[Of(absl::Milliseconds(100))] = 2;
  CHECK(*LatencyBuckets::Quantile(counts, 0.5) < absl::Milliseconds(1.5));
  CHECK(*LatencyBuckets::Quantile(counts, 0.97) < absl::Milliseconds(1.5));
  CHECK(*LatencyBuckets::Quantile(counts, 0.99) > absl::Milliseconds(80));
  CHECK(*LatencyBuckets::Quantile(counts, 1) < absl::Milliseconds(140));
  LatencyBuckets::Counts longest{};
  longest.back() = 1;
  CHECK(*LatencyBuckets::Quantile(longest, 0.5) > absl::Minutes(1));
}

}  // namespace
}  // namespace torchfleet
