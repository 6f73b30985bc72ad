#include "model-worker/watchdog.h"

#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <string>
#include <vector>

#include "tests/unit/model-worker/fake_request.h"

namespace torchfleet::worker {
namespace {

TEST_CASE("Watchdog: a batch that runs too long ends the process once, and says why",
          "[worker][watchdog]") {
  ManualClock clock;
  RunWatch runs(clock);
  MemoryBudget memory(
      std::nullopt, [] { return uint64_t{0}; }, clock);
  std::vector<std::string> reasons;
  Watchdog watchdog({.warning = absl::Seconds(10), .limit = absl::Seconds(60)}, runs, memory,
                    [&](const std::string& why) { reasons.push_back(why); });
  watchdog.Look();
  const RunWatch::Run first(runs);
  clock.Advance(absl::Seconds(59));
  watchdog.Look();
  CHECK(reasons.empty());
  clock.Advance(absl::Seconds(1));
  watchdog.Look();
  watchdog.Look();
  CHECK(reasons == std::vector<std::string>{"a batch ran for over 1m"});
}

TEST_CASE("Watchdog: zero is never", "[worker][watchdog]") {
  ManualClock clock;
  RunWatch runs(clock);
  MemoryBudget memory(
      std::nullopt, [] { return uint64_t{0}; }, clock);
  Watchdog watchdog({.warning = absl::ZeroDuration(), .limit = absl::ZeroDuration()}, runs, memory,
                    [](const std::string&) { FAIL("nothing is ever stuck"); });
  const RunWatch::Run run(runs);
  clock.Advance(absl::Hours(1));
  watchdog.Look();
}

TEST_CASE("RunWatch: tells runs apart, the longest first", "[worker][watchdog]") {
  ManualClock clock;
  RunWatch runs(clock);
  CHECK(runs.longest() == absl::ZeroDuration());
  auto first = std::make_unique<RunWatch::Run>(runs);
  clock.Advance(absl::Seconds(5));
  const RunWatch::Run second(runs);
  clock.Advance(absl::Seconds(5));
  REQUIRE(runs.Over(absl::Seconds(5)).size() == 2);
  REQUIRE(runs.Over(absl::Seconds(6)).size() == 1);
  const auto both = runs.Over(absl::ZeroDuration());
  CHECK(both[0].number < both[1].number);
  CHECK(both[0].age == absl::Seconds(10));
  first.reset();
  CHECK(runs.longest() == absl::Seconds(5));
}

}  // namespace
}  // namespace torchfleet::worker
