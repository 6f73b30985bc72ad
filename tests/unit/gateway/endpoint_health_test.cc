#include "gateway/balance/endpoint_health.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <thread>

namespace torchfleet::gateway {
namespace {

using Catch::Matchers::WithinRel;

Instant At(double seconds) { return Instant::FromStart(absl::Seconds(seconds)); }

// Long here: no newcomer.
const Instant kBegin = At(100);

EndpointHealth Known() { return EndpointHealth(2, At(0)); }

TEST_CASE("EndpointHealth: counts of many loops are right in sum", "[gateway][balance]") {
  EndpointHealth health(4, At(0));
  std::vector<std::jthread> loops;
  for (size_t loop = 0; loop < 4; ++loop) {
    loops.emplace_back([&health, loop] {
      for (int i = 0; i < 10'000; ++i) {
        health.Begin(loop);
        health.Answered(loop, kBegin, absl::Milliseconds(1));
        // A call may end on another loop's account.
        if (i % 2 == 0) health.End((loop + 1) % 4);
      }
    });
  }
  loops.clear();
  CHECK(health.outstanding() == 20'000);
  CHECK(health.totals().answers == 40'000);
  CHECK(health.totals().latency == 40'000'000);
}

TEST_CASE("EndpointHealth: latency follows answers, up sooner than down", "[gateway][balance]") {
  auto health = Known();
  CHECK(health.Candidate(kBegin).latency == 0);
  health.Answered(0, kBegin, absl::Milliseconds(10));
  CHECK_THAT(health.Candidate(kBegin).latency, WithinRel(10e6, 0.001));
  double now = 100;
  for (int i = 0; i < 30; ++i) health.Answered(0, At(now += 0.01), absl::Milliseconds(50));
  const double risen = health.Candidate(At(now)).latency;
  CHECK(risen > 30e6);
  for (int i = 0; i < 30; ++i) health.Answered(0, At(now += 0.01), absl::Milliseconds(10));
  const double fallen = health.Candidate(At(now)).latency;
  CHECK(fallen > 20e6);
  for (int i = 0; i < 500; ++i) health.Answered(0, At(now += 0.01), absl::Milliseconds(10));
  CHECK(health.Candidate(At(now)).latency < 11e6);
}

TEST_CASE("EndpointHealth: after a failure it is aside for a while, or until it answers",
          "[gateway][balance]") {
  auto health = Known();
  health.Lost(kBegin);
  CHECK(health.Candidate(At(104)).standing == Standing::kAside);
  CHECK_FALSE(health.UnreachableLately(At(104)));
  CHECK(health.Candidate(At(106)).standing == Standing::kGood);
  health.Unreachable(At(110));
  CHECK(health.UnreachableLately(At(111)));
  health.Answered(0, At(112), absl::Milliseconds(1));
  CHECK(health.Candidate(At(112)).standing == Standing::kGood);
  CHECK_FALSE(health.UnreachableLately(At(112)));
}

TEST_CASE("EndpointHealth: silent once is slow, silent in a row is a failure",
          "[gateway][balance]") {
  auto health = Known();
  health.Answered(0, kBegin, absl::Milliseconds(1));
  for (int i = 1; i < kSilentInARow; ++i) health.Silent(At(101), absl::Seconds(1));
  CHECK(health.Candidate(At(101)).standing == Standing::kGood);
  CHECK(health.Candidate(At(101)).latency > 100e6);
  health.Silent(At(101), absl::Seconds(1));
  CHECK(health.Candidate(At(101)).standing == Standing::kAside);
  health.Spoke();
  CHECK(health.Candidate(At(101)).standing == Standing::kGood);
}

TEST_CASE("EndpointHealth: a worker that refuses is left alone as it asks, but not for long",
          "[gateway][balance]") {
  auto health = Known();
  health.Refused(kBegin, absl::Milliseconds(50));
  CHECK(health.Candidate(At(100.04)).standing == Standing::kAside);
  CHECK(health.Candidate(At(100.06)).standing == Standing::kGood);
  health.Refused(At(101), absl::Hours(1));
  CHECK(health.Candidate(At(101.5)).standing == Standing::kGood);
}

TEST_CASE("EndpointHealth: others' calls are what it reports beyond ours, for a second",
          "[gateway][balance]") {
  auto health = Known();
  health.Begin(0);
  health.Begin(1);
  health.Reported(kBegin, 10, 4);
  CHECK(health.Candidate(kBegin).load == 10);
  CHECK(health.Candidate(kBegin).weight == 4);
  CHECK(health.Candidate(At(100.5)).load == 6);
  CHECK(health.Candidate(At(101)).load == 2);
  health.Reported(At(102), 1, 4);
  CHECK(health.Candidate(At(102)).load == 2);
}

TEST_CASE("EndpointHealth: a newcomer starts slowly, and so does another process in its place",
          "[gateway][balance]") {
  EndpointHealth health(1, At(10));
  CHECK_THAT(health.Candidate(At(10)).weight, WithinRel(0.1));
  CHECK_THAT(health.Candidate(At(15)).weight, WithinRel(0.5));
  CHECK(health.Candidate(At(20)).weight == 1);
  health.Answered(0, At(20), absl::Seconds(9));
  health.Unreachable(At(20));
  health.SetEjected(Standing::kSlow);
  health.SetLimit(1);
  health.Renewed(At(30));
  const BalanceCandidate renewed = health.Candidate(At(30));
  CHECK(renewed.standing == Standing::kGood);
  CHECK(renewed.latency == 0);
  CHECK_THAT(renewed.weight, WithinRel(0.1));
  CHECK(health.limit() == kHighestLimit);
}

TEST_CASE("EndpointHealth: full at its limit", "[gateway][balance]") {
  auto health = Known();
  health.SetLimit(2);
  health.Begin(0);
  CHECK_FALSE(health.Candidate(kBegin).full);
  health.Begin(1);
  CHECK(health.Candidate(kBegin).full);
  health.End(0);
  CHECK_FALSE(health.Candidate(kBegin).full);
}

}  // namespace
}  // namespace torchfleet::gateway
