// Whole trials in virtual time, by chance: how often an equal version is rolled back,
// and how soon a worse one is. `[canary-figures]` prints more of it than tests ask.

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstdio>
#include <random>

#include "gateway/route/canary_trial.h"
#include "gateway/route/traffic_policy.h"

namespace torchfleet::gateway {
namespace {

namespace v1 = registry::v1;

// How a version does: its failure rate, and its latency, log-normal around `median`.
struct Behaviour {
  double failing = 0.01;
  double median = 20;  // ms
};

struct Story {
  Behaviour targets = {}, canary = {};
  double rate = 100;  // calls a second
  int step_seconds = 10;
};

struct Ending {
  CanaryVerdict verdict = CanaryVerdict::kKeep;
  double seconds = 0;
  // Calls that the canary had.
  uint64_t calls = 0;
};

class Trial {
 public:
  Trial(const Story& story, uint32_t seed) : story_(story), random_(seed) {
    for (const uint32_t step : {1, 5, 25, 50, 100}) canary_.add_steps(step);
    canary_.set_step_seconds(static_cast<uint32_t>(story.step_seconds));
    canary_.set_min_calls(50);
  }

  Ending Run() {
    constexpr double kEvery = 0.2, kLongest = 3600;
    double now = 0;
    for (; now < kLongest; now += kEvery) {
      for (int i = 0; i < static_cast<int>(story_.rate * kEvery); ++i) Call();
      const auto judgement = judge_.Judge(canary_, totals_, Instant::FromStart(absl::Seconds(now)));
      if (judgement.verdict == CanaryVerdict::kKeep) continue;
      if (judgement.verdict != CanaryVerdict::kAdvance) {
        return {judgement.verdict, now, totals_.canary.calls};
      }
      canary_ = After(judgement, canary_);
    }
    return {CanaryVerdict::kKeep, now, totals_.canary.calls};
  }

 private:
  void Call() {
    const bool canary = chance_(random_) * 100 < TrafficPolicy::ShareOf(canary_);
    const Behaviour& behaviour = canary ? story_.canary : story_.targets;
    SideFigures& side = canary ? totals_.canary : totals_.targets;
    ++side.calls;
    if (chance_(random_) < behaviour.failing) {
      ++side.failed;
    } else {
      side.latencies.Add(absl::Milliseconds(behaviour.median * std::exp(0.5 * normal_(random_))));
    }
  }

  const Story story_;
  std::mt19937 random_;
  std::uniform_real_distribution<double> chance_{0, 1};
  std::normal_distribution<double> normal_;
  v1::RouteCanary canary_;
  TrialFigures totals_;
  CanaryTrial judge_;
};

struct Summary {
  int promoted = 0, rolled_back = 0, open = 0;
  // Of those that ended so.
  double promoted_seconds = 0, rolled_back_seconds = 0, rolled_back_calls = 0;
};

Summary Run(const Story& story, int trials) {
  Summary sum;
  for (int i = 0; i < trials; ++i) {
    const Ending ending = Trial(story, static_cast<uint32_t>(i)).Run();
    if (ending.verdict == CanaryVerdict::kPromote) {
      ++sum.promoted;
      sum.promoted_seconds += ending.seconds;
    } else if (ending.verdict == CanaryVerdict::kRollBack) {
      ++sum.rolled_back;
      sum.rolled_back_seconds += ending.seconds;
      sum.rolled_back_calls += static_cast<double>(ending.calls);
    } else {
      ++sum.open;
    }
  }
  sum.promoted_seconds /= std::max(sum.promoted, 1);
  sum.rolled_back_seconds /= std::max(sum.rolled_back, 1);
  sum.rolled_back_calls /= std::max(sum.rolled_back, 1);
  return sum;
}

constexpr int kTrials = 100;

TEST_CASE("Canaries: an equal version is promoted", "[gateway][route]") {
  for (const double failing : {0.0, 0.01, 0.2}) {
    CAPTURE(failing);
    const Summary sum =
        Run({.targets = {.failing = failing}, .canary = {.failing = failing}}, kTrials);
    CHECK(sum.promoted == kTrials);
  }
}

TEST_CASE("Canaries: one with 5 % more errors is rolled back", "[gateway][route]") {
  const Summary sum = Run({.canary = {.failing = 0.06}}, kTrials);
  CHECK(sum.rolled_back == kTrials);
  CHECK(sum.rolled_back_calls < 500);
}

TEST_CASE("Canaries: one that takes twice as long is rolled back", "[gateway][route]") {
  const Summary sum = Run({.canary = {.median = 40}}, kTrials);
  CHECK(sum.rolled_back == kTrials);
  CHECK(sum.rolled_back_calls < 500);
}

TEST_CASE("Canaries: one that fails always gets few calls", "[gateway][route]") {
  const Summary sum = Run({.canary = {.failing = 1}}, kTrials);
  CHECK(sum.rolled_back == kTrials);
  CHECK(sum.rolled_back_calls < 10);
}

void Print(const char* name, const Story& story, int trials) {
  const Summary sum = Run(story, trials);
  std::printf("| %s | %d | %.2f %% | %.1f s | %.2f %% | %.1f s | %.0f | %.2f %% |\n", name, trials,
              100.0 * sum.promoted / trials, sum.promoted_seconds, 100.0 * sum.rolled_back / trials,
              sum.rolled_back_seconds, sum.rolled_back_calls, 100.0 * sum.open / trials);
}

TEST_CASE("Canaries: figures", "[.][canary-figures]") {
  constexpr int kMany = 2000;
  std::printf("| version | trials | promoted | after | rolled back | after | its calls | open |\n");
  std::printf("|---|---|---|---|---|---|---|---|\n");
  Print("equal, no errors", {.targets = {.failing = 0}, .canary = {.failing = 0}}, kMany);
  Print("equal, 1 % errors", {}, kMany);
  Print("equal, 20 % errors", {.targets = {.failing = 0.2}, .canary = {.failing = 0.2}}, kMany);
  Print("5 % more errors", {.canary = {.failing = 0.06}}, kMany);
  Print("2 % more errors", {.canary = {.failing = 0.03}}, kMany);
  Print("all fail", {.canary = {.failing = 1}}, kMany);
  Print("40 % slower", {.canary = {.median = 28}}, kMany);
  Print("twice as slow", {.canary = {.median = 40}}, kMany);
  Print("five times as slow", {.canary = {.median = 100}}, kMany);
}

}  // namespace
}  // namespace torchfleet::gateway
