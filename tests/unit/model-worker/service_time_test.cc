#include "model-worker/batch/service_time.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <cmath>
#include <random>

namespace torchfleet::worker {
namespace {

using Catch::Matchers::WithinRel;

double Milliseconds(absl::Duration duration) { return absl::ToDoubleMilliseconds(duration); }

// A model that takes `fixed` and `each` milliseconds, more or less.
void Run(ServiceTime& time, int batches, double fixed, double each, double noise,
         std::mt19937& random) {
  std::uniform_int_distribution<int> size(1, 32);
  std::uniform_real_distribution<double> stretch(1 - noise, 1 + noise);
  for (int i = 0; i < batches; ++i) {
    const double rows = size(random);
    time.Add(rows, absl::Milliseconds((fixed + each * rows) * stretch(random)));
  }
}

TEST_CASE("ServiceTime: knows nothing before some batches ran", "[worker][batch]") {
  ServiceTime time;
  CHECK(time.Expected(8) == absl::ZeroDuration());
  CHECK(time.Upper(8) == absl::ZeroDuration());
  CHECK(time.fixed() == absl::ZeroDuration());
  for (int i = 0; i < 4; ++i) {
    CHECK_FALSE(time.known());
    time.Add(1, absl::Milliseconds(1));
  }
  CHECK(time.known());
}

TEST_CASE("ServiceTime: learns a line from noisy batches", "[worker][batch]") {
  std::mt19937 random(1);
  ServiceTime time;
  Run(time, 200, 2, 0.5, 0.05, random);
  CHECK_THAT(Milliseconds(time.fixed()), WithinRel(2, 0.3));
  CHECK_THAT(Milliseconds(time.Expected(1)), WithinRel(2.5, 0.2));
  CHECK_THAT(Milliseconds(time.Expected(32)), WithinRel(18, 0.1));
  CHECK(time.Upper(32) > time.Expected(32));
  CHECK(Milliseconds(time.Upper(32)) < 18 * 1.3);
}

TEST_CASE("ServiceTime: follows a model that becomes slower and faster", "[worker][batch]") {
  std::mt19937 random(2);
  ServiceTime time;
  Run(time, 50, 1, 0.1, 0.02, random);
  Run(time, 50, 10, 0.1, 0.02, random);
  CHECK_THAT(Milliseconds(time.Expected(10)), WithinRel(11, 0.1));
  Run(time, 80, 1, 0.1, 0.02, random);
  CHECK_THAT(Milliseconds(time.Expected(10)), WithinRel(2, 0.15));
}

TEST_CASE(
    "ServiceTime: of one size, all is fixed, and larger ones are thought to cost as much more",
    "[worker][batch]") {
  ServiceTime time;
  for (int i = 0; i < 10; ++i) time.Add(4, absl::Milliseconds(2));
  CHECK_THAT(Milliseconds(time.fixed()), WithinRel(2, 1e-6));
  CHECK_THAT(Milliseconds(time.Expected(1)), WithinRel(2, 1e-6));
  CHECK_THAT(Milliseconds(time.Expected(4)), WithinRel(2, 1e-6));
  CHECK_THAT(Milliseconds(time.Expected(8)), WithinRel(4, 1e-6));
  // But that is not known.
  CHECK_THAT(Milliseconds(time.AtLeast(8)), WithinRel(2, 1e-6));
}

TEST_CASE("ServiceTime: in quiet hours it forgets no slope", "[worker][batch]") {
  std::mt19937 random(3);
  ServiceTime time;
  Run(time, 100, 2, 0.01, 0, random);
  for (int i = 0; i < 1000; ++i) time.Add(1, absl::Milliseconds(2.01));
  CHECK_THAT(Milliseconds(time.Expected(32)), WithinRel(2.32, 0.05));
  CHECK_THAT(Milliseconds(time.AtLeast(32)), WithinRel(2.32, 0.05));
}

TEST_CASE("ServiceTime: never negative, never no number", "[worker][batch]") {
  std::mt19937 random(4);
  for (int round = 0; round < 200; ++round) {
    ServiceTime time;
    for (int i = 0; i < 50; ++i) {
      const double size = random() % 4 == 0 ? 0 : static_cast<double>(random() % 1000);
      const absl::Duration took = random() % 16 == 0   ? absl::InfiniteDuration()
                                  : random() % 16 == 0 ? -absl::Seconds(1)
                                  : random() % 4 == 0  ? absl::ZeroDuration()
                                                       : absl::Microseconds(random() % 1'000'000);
      time.Add(size, took);
      for (const double asked : {0.0, 1.0, 32.0, 1e6}) {
        for (const absl::Duration said :
             {time.fixed(), time.Expected(asked), time.AtLeast(asked), time.Upper(asked)}) {
          REQUIRE(std::isfinite(absl::ToDoubleSeconds(said)));
          REQUIRE(said >= absl::ZeroDuration());
        }
        REQUIRE(time.AtLeast(asked) <= time.Expected(asked));
      }
      REQUIRE(time.Expected(1) <= time.Expected(2));
    }
  }
}

}  // namespace
}  // namespace torchfleet::worker
