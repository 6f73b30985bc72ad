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
  health.SetEjected(OutlierVerdict::kSlow, At(25));
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

TEST_CASE(
    "EndpointHealth: figures have attempts by how they ended, of all loops, and keep them "
    "when another process comes",
    "[gateway][balance]") {
  auto health = Known();
  health.Begin(0);
  health.Begin(1, AttemptKind::kRetry);
  health.Begin(0, AttemptKind::kHedge);
  health.Begin(1, AttemptKind::kHedge);
  health.End(0);
  health.Answered(0, kBegin, absl::Milliseconds(3));
  health.Answered(1, kBegin, absl::Milliseconds(5));
  health.Erred(1);
  health.FoundFault(0);
  health.Refused(kBegin, absl::ZeroDuration());
  health.Lost(kBegin);
  health.Unreachable(kBegin);
  health.Silent(kBegin, absl::Seconds(1));
  health.Reported(kBegin, 7, 4);
  health.Renewed(kBegin);
  const EndpointFigures figures = health.figures(kBegin);
  CHECK(figures.counts.answered == 2);
  CHECK(figures.counts.latency == absl::Milliseconds(8));
  CHECK(figures.counts.failed == 1);
  CHECK(figures.counts.invalid == 1);
  CHECK(figures.counts.refused == 1);
  CHECK(figures.counts.lost == 2);
  CHECK(figures.counts.silent == 1);
  CHECK(figures.counts.ended() == 8);
  CHECK(figures.counts.retries == 1);
  CHECK(figures.counts.hedges == 2);
  CHECK(figures.outstanding == 3);
  CHECK(figures.capacity == 4);
  CHECK(figures.limit == kHighestLimit);
}

TEST_CASE("EndpointHealth: figures say whether it is out, why and for how long",
          "[gateway][balance]") {
  auto health = Known();
  CHECK(health.figures(kBegin).state == EjectionState::kServing);
  health.SetEjected(OutlierVerdict::kFailing, At(103));
  EndpointFigures figures = health.figures(At(101));
  CHECK(figures.state == EjectionState::kEjected);
  CHECK(figures.why == OutlierVerdict::kFailing);
  CHECK(figures.left == absl::Seconds(2));
  health.SetProbed();
  CHECK(health.figures(At(103)).state == EjectionState::kProbed);
  CHECK(health.figures(At(104)).left == absl::ZeroDuration());
  health.SetStillEjected(At(105));
  figures = health.figures(At(104));
  CHECK(figures.state == EjectionState::kEjected);
  CHECK(figures.why == OutlierVerdict::kFailing);
  health.SetReturned(At(106));
  figures = health.figures(At(106));
  CHECK(figures.state == EjectionState::kServing);
  CHECK(figures.why == OutlierVerdict::kNone);
  CHECK(figures.counts.ejections == 1);
}

TEST_CASE("EndpointHealth: latency of late follows a change and fades", "[gateway][balance]") {
  auto health = Known();
  const auto p50 = [&] {
    const auto latency = LatencyBuckets::Quantile(health.figures(kBegin).late, 0.5);
    return latency ? absl::ToDoubleMilliseconds(*latency) : 0;
  };
  CHECK(p50() == 0);
  const auto answer = [&](absl::Duration latency) {
    for (int i = 0; i < 50; ++i) health.Answered(static_cast<size_t>(i % 2), kBegin, latency);
    health.RememberLatency();
  };
  for (int second = 0; second < 30; ++second) answer(absl::Milliseconds(2));
  CHECK(p50() > 1.4);
  CHECK(p50() < 2.9);
  for (int second = 0; second < 10; ++second) answer(absl::Milliseconds(50));
  CHECK(p50() > 35);
  // A minute and a half without an answer: nothing is known of late.
  for (int second = 0; second < 130; ++second) health.RememberLatency();
  CHECK(p50() == 0);
  answer(absl::Milliseconds(2));
  CHECK(p50() < 2.9);
}

}  // namespace
}  // namespace torchfleet::gateway
