#include "gateway/route/canary_trial.h"

#include <google/protobuf/text_format.h>

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace torchfleet::gateway {
namespace {

namespace v1 = registry::v1;

v1::RouteCanary ACanary(const std::string& more = "") {
  v1::RouteCanary canary;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(
      "target { version: '2' } steps: [10, 50, 100] step_seconds: 10 min_calls: 50 " + more,
      &canary));
  return canary;
}

// A gateway's counters, its clock and what it makes of them.
class AGateway {
 public:
  void Canary(uint64_t ok, uint64_t failed = 0, absl::Duration latency = absl::Milliseconds(10)) {
    Add(totals_.canary, ok, failed, latency);
  }
  void Targets(uint64_t ok, uint64_t failed = 0, absl::Duration latency = absl::Milliseconds(10)) {
    Add(totals_.targets, ok, failed, latency);
  }
  CanaryJudgement Judge(const v1::RouteCanary& canary, int seconds_later = 0) {
    now_ = now_ + absl::Seconds(seconds_later);
    return trial_.Judge(canary, totals_, now_);
  }
  CanaryVerdict Verdict(const v1::RouteCanary& canary, int seconds_later = 0) {
    return Judge(canary, seconds_later).verdict;
  }

 private:
  static void Add(SideFigures& side, uint64_t ok, uint64_t failed, absl::Duration latency) {
    side.calls += ok + failed;
    side.failed += failed;
    side.latencies.AddTo(LatencyCounts::BucketOf(latency), ok);
  }

  CanaryTrial trial_;
  TrialFigures totals_;
  Instant now_ = Instant::FromStart(absl::Seconds(100));
};

TEST_CASE("CanaryTrial: goes through its steps and is promoted", "[gateway][route]") {
  AGateway gateway;
  v1::RouteCanary canary = ACanary();
  for (int step = 0; step < 3; ++step) {
    CAPTURE(step);
    CHECK(gateway.Verdict(canary) == CanaryVerdict::kKeep);
    gateway.Canary(60);
    if (step < 2) gateway.Targets(400);
    CHECK(gateway.Verdict(canary, 9) == CanaryVerdict::kKeep);  // not long enough
    const CanaryJudgement judgement = gateway.Judge(canary, 1);
    CHECK(judgement.verdict == (step < 2 ? CanaryVerdict::kAdvance : CanaryVerdict::kPromote));
    canary = After(judgement, canary);
  }
  CHECK(canary.step() == 2);
  CHECK(canary.phase() == v1::RouteCanary::PHASE_PROMOTED);
  // What the targets did in the step before.
  CHECK(canary.reason().starts_with("at 100%: 0 of 60 calls failed, 0 of 400 at the targets; "));
  gateway.Canary(0, 1000);
  CHECK(gateway.Verdict(canary, 100) == CanaryVerdict::kKeep);
}

TEST_CASE("CanaryTrial: a step needs so many calls of its own", "[gateway][route]") {
  AGateway gateway;
  v1::RouteCanary canary = ACanary();
  gateway.Canary(1000);  // before this trial was seen
  CHECK(gateway.Verdict(canary) == CanaryVerdict::kKeep);
  gateway.Canary(49);
  gateway.Targets(400);
  CHECK(gateway.Verdict(canary, 1000) == CanaryVerdict::kKeep);
  gateway.Canary(1);
  CHECK(gateway.Verdict(canary) == CanaryVerdict::kAdvance);
  // Of the next step nothing was seen yet.
  canary.set_phase(v1::RouteCanary::PHASE_RUNNING);
  canary.set_step(1);
  CHECK(gateway.Verdict(canary, 1000) == CanaryVerdict::kKeep);
}

TEST_CASE("CanaryTrial: one that fails is rolled back at once, whatever its step asks",
          "[gateway][route]") {
  AGateway gateway;
  const v1::RouteCanary canary = ACanary();
  CHECK(gateway.Verdict(canary) == CanaryVerdict::kKeep);
  gateway.Canary(0, 20);
  gateway.Targets(200);
  const CanaryJudgement judgement = gateway.Judge(canary);
  CHECK(judgement.verdict == CanaryVerdict::kRollBack);
  CHECK(judgement.reason ==
        "at 10%: 20 of 20 calls failed, 0 of 200 at the targets; at most 1% more may");
  const v1::RouteCanary after = After(judgement, canary);
  CHECK(after.phase() == v1::RouteCanary::PHASE_ROLLED_BACK);
  CHECK(after.reason() == judgement.reason);
  CHECK(gateway.Verdict(after) == CanaryVerdict::kKeep);
  // Set anew it begins anew.
  CHECK(gateway.Verdict(canary) == CanaryVerdict::kKeep);
  gateway.Canary(60);
  CHECK(gateway.Verdict(canary, 10) == CanaryVerdict::kAdvance);
}

TEST_CASE("CanaryTrial: a verdict that came too late holds for the next step", "[gateway][route]") {
  AGateway gateway;
  v1::RouteCanary canary = ACanary("phase: PHASE_RUNNING");
  gateway.Verdict(canary);
  gateway.Canary(0, 20);
  gateway.Targets(200);
  CHECK(gateway.Verdict(canary) == CanaryVerdict::kRollBack);
  // Another gateway was first, and had seen nothing of it.
  canary.set_step(1);
  CHECK(gateway.Verdict(canary) == CanaryVerdict::kRollBack);
  // Another version is another trial.
  const std::string other = "3";
  canary.mutable_target()->set_version(other);
  CHECK(gateway.Verdict(canary) == CanaryVerdict::kKeep);
}

TEST_CASE("CanaryTrial: a slow one is rolled back when its next answers are slow too",
          "[gateway][route]") {
  AGateway gateway;
  const v1::RouteCanary canary = ACanary();
  gateway.Verdict(canary);
  gateway.Targets(400);
  gateway.Canary(40, 0, absl::Milliseconds(30));
  CHECK(gateway.Verdict(canary) == CanaryVerdict::kKeep);
  gateway.Canary(19, 0, absl::Milliseconds(30));
  CHECK(gateway.Verdict(canary, 20) == CanaryVerdict::kKeep);
  gateway.Canary(1, 0, absl::Milliseconds(30));
  const CanaryJudgement judgement = gateway.Judge(canary);
  CHECK(judgement.verdict == CanaryVerdict::kRollBack);
  CHECK(judgement.reason.find("at the targets; at most 150% of that is allowed") !=
        std::string::npos);
}

TEST_CASE("CanaryTrial: a moment's delay ends no trial", "[gateway][route]") {
  AGateway gateway;
  const v1::RouteCanary canary = ACanary();
  gateway.Verdict(canary);
  gateway.Targets(400);
  gateway.Canary(40, 0, absl::Milliseconds(30));
  for (int i = 0; i < 100; ++i) {
    gateway.Canary(20);
    CHECK(gateway.Verdict(canary) == CanaryVerdict::kKeep);
  }
  // Once the delay is no longer among the slowest twentieth, it goes on.
  CHECK(gateway.Verdict(canary, 10) == CanaryVerdict::kAdvance);
}

TEST_CASE("CanaryTrial: at 100 % it is measured by what the targets did before",
          "[gateway][route]") {
  AGateway gateway;
  v1::RouteCanary canary = ACanary("phase: PHASE_RUNNING step: 1");
  gateway.Verdict(canary);
  gateway.Targets(360, 40);
  gateway.Canary(360, 40);
  canary.set_step(2);
  CHECK(gateway.Verdict(canary, 20) == CanaryVerdict::kKeep);
  SECTION("as many fail as failed there") {
    gateway.Canary(180, 20);
    CHECK(gateway.Verdict(canary, 10) == CanaryVerdict::kPromote);
  }
  SECTION("more fail") {
    gateway.Canary(100, 100);
    CHECK(gateway.Verdict(canary, 10) == CanaryVerdict::kRollBack);
  }
  SECTION("a gateway that saw no targets ends it when most fail") {
    AGateway other;
    other.Verdict(canary);
    other.Canary(60, 40);
    CHECK(other.Verdict(canary) == CanaryVerdict::kKeep);
    other.Canary(0, 200);
    CHECK(other.Verdict(canary) == CanaryVerdict::kRollBack);
  }
}

TEST_CASE("CanaryTrial: a reason is as long as the catalogue takes", "[gateway][route]") {
  const CanaryJudgement judgement{.verdict = CanaryVerdict::kRollBack,
                                  .reason = std::string(1000, 'x')};
  CHECK(After(judgement, ACanary()).reason().size() == CanaryTrial::kMostReason);
}

}  // namespace
}  // namespace torchfleet::gateway
