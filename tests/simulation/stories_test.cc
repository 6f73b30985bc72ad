#include "tests/simulation/stories.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdio>

// The goals of rescue, in virtual time: the same seed, the same figures.

namespace torchfleet::simulation {
namespace {

GatewayOptions Plain(Choosing choosing) {
  return {.choosing = choosing, .hedges = false, .ejects = false, .limits = false};
}

TEST_CASE("Simulation: the same seed gives the same figures", "[simulation]") {
  const Figures one = OneSlow({});
  const Figures same = OneSlow({});
  const Figures other = OneSlow({.seed = 2});
  CHECK(one.p99 == same.p99);
  CHECK(one.calls == same.calls);
  CHECK(one.calls != other.calls);
}

TEST_CASE("Simulation: one of eight five times slower is hardly felt", "[simulation]") {
  for (const uint64_t seed : {1, 2, 3}) {
    for (const size_t gateways : {1, 4}) {
      CAPTURE(seed, gateways);
      Simulation healthy({.workers = 7, .gateways = gateways, .load = 0.6 * 8 / 7, .seed = seed});
      healthy.Run(absl::Seconds(60));
      const Figures seven = healthy.Measure(absl::Seconds(5), absl::Seconds(60));
      const Figures slow = OneSlow({.gateways = gateways, .seed = seed});
      CAPTURE(slow.p99, seven.p99);
      CHECK(slow.failed == 0);
      CHECK(slow.p99 / seven.p99 <= 1.2);
    }
  }
}

TEST_CASE("Simulation: of three workers killed in turn no call is lost", "[simulation]") {
  for (const uint64_t seed : {1, 2, 3}) {
    const Figures figures = KilledAgainAndAgain({.seed = seed});
    CAPTURE(figures.refused, figures.attempts_per_call);
    CHECK(figures.calls > 10'000);
    CHECK(figures.failed == 0);
  }
}

TEST_CASE("Simulation: a frozen worker costs nobody the deadline", "[simulation]") {
  for (const uint64_t seed : {1, 2, 3}) {
    for (const size_t workers : {3, 8}) {
      const Frozen frozen = OneFrozen({.workers = workers, .load = 0.4, .seed = seed});
      CAPTURE(seed, workers, frozen.before.p99, frozen.later.p99, frozen.at_once.failed);
      CHECK(frozen.soon.failed == 0);
      CHECK(frozen.later.p99 / frozen.before.p99 <= 1.2);
    }
  }
}

TEST_CASE("Simulation: hedges cut the tail of stragglers, for few calls more", "[simulation]") {
  for (const uint64_t seed : {1, 2, 3}) {
    FleetOptions options{.seed = seed};
    const Figures hedged = Stragglers(options);
    options.gateway.hedges = false;
    const Figures unhedged = Stragglers(options);
    CAPTURE(seed, hedged.p99, unhedged.p99, hedged.attempts_per_call);
    CHECK(hedged.p99 / unhedged.p99 <= 0.4);
    CHECK(hedged.attempts_per_call <= 1.03);
  }
}

TEST_CASE("Simulation: when all workers are down they are not asked more than once a call",
          "[simulation]") {
  for (const size_t gateways : {1, 4}) {
    const Figures figures = AllDown({.gateways = gateways});
    CHECK(figures.failed == figures.calls);
    CHECK(figures.attempts_per_call <= 1.2);
  }
}

TEST_CASE("Simulation: three times too many calls lose no goodput, and few wait", "[simulation]") {
  for (const uint64_t seed : {1, 2, 3}) {
    for (const size_t gateways : {1, 4}) {
      const Overload figures = ThreeTimes({.gateways = gateways, .seed = seed});
      CAPTURE(seed, gateways, figures.normal.p99, figures.overload.p99, figures.overload.goodput);
      CHECK(figures.normal.failed == 0);
      CHECK(figures.overload.goodput >= 0.95);
      CHECK(figures.overload.p99 / figures.normal.p99 <= 2);
      CHECK(figures.after.failed == 0);
    }
  }
}

TEST_CASE("Simulation: so it is whatever a call takes and however many run at once",
          "[simulation]") {
  for (const int millis : {2, 10, 100}) {
    for (const uint32_t capacity : {1U, 4U, 16U}) {
      const absl::Duration service = absl::Milliseconds(millis);
      const Overload figures =
          ThreeTimes({.workers = 4, .worker = {.capacity = capacity, .service = service}});
      CAPTURE(millis, capacity, figures.normal.p99, figures.overload.p99);
      CHECK(figures.normal.failed == 0);
      CHECK(figures.overload.goodput >= 0.95);
      // What waits for less than a few milliseconds is let be.
      CHECK(figures.overload.p99 <= std::max(2 * figures.normal.p99, 10.0));
      CHECK(figures.after.failed == 0);
    }
  }
}

TEST_CASE("Simulation: hundreds of workers and many gateways", "[simulation]") {
  const Figures figures =
      OneSlow({.workers = 300, .gateways = 10, .worker = {.service = absl::Milliseconds(100)}});
  CHECK(figures.failed == 0);
  CHECK(figures.p99 < 200);
}

// Run with "[figures]" for the tables of docs/decisions.
TEST_CASE("Simulation: figures beside plain choices", "[.][figures]") {
  const std::pair<const char*, GatewayOptions> rows[] = {
      {"random", Plain(Choosing::kRandom)},
      {"round robin", Plain(Choosing::kRoundRobin)},
      {"least outstanding", Plain(Choosing::kLeastOutstanding)},
      {"two choices alone", Plain(Choosing::kGateway)},
      {"the gateway", {}},
  };
  std::puts("| story | choice | p50 ms | p99 ms | failed of calls | goodput | attempts a call |");
  std::puts("|---|---|---|---|---|---|---|");
  const auto print = [](const char* story, const char* choice, const Figures& figures) {
    std::printf("| %s | %s | %.1f | %.1f | %zu of %zu | %.2f | %.3f |\n", story, choice,
                figures.p50, figures.p99, figures.failed, figures.calls, figures.goodput,
                figures.attempts_per_call);
  };
  for (const auto& [name, gateway] : rows) {
    Simulation healthy({.workers = 7, .gateways = 4, .load = 0.6 * 8 / 7, .gateway = gateway});
    healthy.Run(absl::Seconds(60));
    print("7 healthy", name, healthy.Measure(absl::Seconds(5), absl::Seconds(60)));
  }
  for (const auto& [name, gateway] : rows) {
    print("one of 8 slow", name, OneSlow({.gateways = 4, .gateway = gateway}));
  }
  for (const auto& [name, gateway] : rows) {
    print("killed in turn", name, KilledAgainAndAgain({.gateway = gateway}));
  }
  for (const auto& [name, gateway] : rows) {
    print("frozen 10 s", name, OneFrozen({.load = 0.4, .gateway = gateway}).soon);
  }
  for (const auto& [name, gateway] : rows) {
    print("2 % stragglers", name, Stragglers({.gateway = gateway}));
  }
  for (const auto& [name, gateway] : rows) print("all down", name, AllDown({.gateway = gateway}));
  for (const auto& [name, gateway] : rows) {
    FleetOptions options{.gateways = 4, .gateway = gateway};
    options.gateway.deadline = absl::Seconds(5);
    print("3 × overload", name, ThreeTimes(options).overload);
  }
}

}  // namespace
}  // namespace torchfleet::simulation
