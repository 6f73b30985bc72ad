#include "cli/load/arrivals.h"

#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <string>
#include <vector>

namespace torchfleet::cli {
namespace {

std::vector<double> Gaps(PoissonArrivals arrivals, int count) {
  std::vector<double> gaps;
  absl::Duration before;
  for (int i = 0; i < count; ++i) {
    const absl::Duration at = *arrivals.Next();
    gaps.push_back(absl::ToDoubleSeconds(at - before));
    before = at;
  }
  return gaps;
}

TEST_CASE("PoissonArrivals: gaps have the rate's mean, and spread as far", "[cli][load]") {
  const auto gaps = Gaps(PoissonArrivals(1000, 1), 20'000);
  double mean = 0, square = 0;
  for (const double gap : gaps) {
    REQUIRE(gap >= 0);
    mean += gap / 20'000;
    square += gap * gap / 20'000;
  }
  CHECK(std::abs(mean - 1e-3) < 5e-5);
  // As the exponential distribution's only.
  CHECK(std::abs(std::sqrt(square - mean * mean) - 1e-3) < 1e-4);
}

TEST_CASE("PoissonArrivals: the seed says all", "[cli][load]") {
  CHECK(Gaps(PoissonArrivals(10, 5), 50) == Gaps(PoissonArrivals(10, 5), 50));
  CHECK(Gaps(PoissonArrivals(10, 5), 50) != Gaps(PoissonArrivals(10, 6), 50));
}

TEST_CASE("GivenArrivals: between them, strides give each time once", "[cli][load]") {
  std::vector<absl::Duration> times;
  for (int i = 0; i < 7; ++i) times.push_back(absl::Seconds(i));
  const auto taken = [&](size_t first, size_t stride) {
    GivenArrivals arrivals(times, first, stride);
    std::vector<int64_t> seconds;
    while (const auto time = arrivals.Next()) seconds.push_back(absl::ToInt64Seconds(*time));
    CHECK(!arrivals.Next());
    return seconds;
  };
  CHECK(taken(0, 1) == std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6});
  CHECK(taken(0, 3) == std::vector<int64_t>{0, 3, 6});
  CHECK(taken(1, 3) == std::vector<int64_t>{1, 4});
  CHECK(taken(2, 3) == std::vector<int64_t>{2, 5});
  CHECK(taken(8, 9).empty());
}

TEST_CASE("ParseArrivals: times, empty lines and remarks", "[cli][load]") {
  const auto times = ParseArrivals("# of Monday\n0\n\n  0.25 # twice\r\n0.25\n1e1");
  REQUIRE(times.ok());
  CHECK(*times == std::vector<absl::Duration>{absl::ZeroDuration(), absl::Milliseconds(250),
                                              absl::Milliseconds(250), absl::Seconds(10)});
}

TEST_CASE("ParseArrivals: the line that is wrong is named", "[cli][load]") {
  struct Row {
    const char* text;
    const char* message;
  };
  const Row rows[] = {
      {"0.1\n# fine\nsoon\n", "line 3 is 'soon'; expected a time in seconds, as 0.25"},
      {"1s", "line 1 is '1s'"},
      {"0.5 0.6", "line 1 is '0.5 0.6'"},
      {"-1", "line 1 is '-1'"},
      {"1\nnan", "line 2 is 'nan'"},
      {"inf", "line 1 is 'inf'"},
      {"1e999", "line 1 is '1e999'"},
      {"2\n\n1", "line 3 is before the one above it"},
      {"", "it holds no times"},
      {"# nothing\n\n", "it holds no times"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const auto times = ParseArrivals(row.text);
    REQUIRE(absl::IsInvalidArgument(times.status()));
    CAPTURE(std::string(times.status().message()));
    CHECK(times.status().message().find(row.message) != std::string_view::npos);
  }
}

}  // namespace
}  // namespace torchfleet::cli
