#include "base/clock.h"

#include <catch2/catch_test_macros.hpp>

namespace torchfleet {
namespace {

TEST_CASE("Instant: adds, subtracts and compares durations", "[base][clock]") {
  const Instant start = Instant::FromStart(absl::Seconds(10));
  CHECK((start + absl::Seconds(5)) - start == absl::Seconds(5));
  CHECK(start - absl::Seconds(1) < start);
  CHECK(start <= start);
  CHECK(start < Instant::Infinite());
}

TEST_CASE("MonotonicClock: does not step back", "[base][clock]") {
  const MonotonicClock clock;
  Instant before = clock.Now();
  for (int i = 0; i < 1000; ++i) {
    const Instant now = clock.Now();
    REQUIRE(now >= before);
    before = now;
  }
}

}  // namespace
}  // namespace torchfleet
