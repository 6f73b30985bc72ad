#include "gateway/route/canary_policy.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

namespace torchfleet::gateway {
namespace {

SideFigures ASide(uint64_t calls, uint64_t failed,
                  absl::Duration latency = absl::Milliseconds(10)) {
  SideFigures side{.calls = calls, .failed = failed, .latencies = {}};
  side.latencies.AddTo(LatencyCounts::BucketOf(latency), calls - failed);
  return side;
}

CanaryLimits Limits(uint32_t more_errors = 0, uint32_t latency = 0) {
  registry::v1::RouteCanary canary;
  canary.set_max_more_errors_percent(more_errors);
  canary.set_max_latency_percent(latency);
  return CanaryLimits::Of(canary);
}

TEST_CASE("CanaryLimits: what is not set is as the contract says", "[gateway][route]") {
  const CanaryLimits limits = Limits();
  CHECK(limits.step_time == absl::Seconds(60));
  CHECK(limits.min_calls == 100);
  CHECK(limits.more_errors == 0.01);
  CHECK(limits.latency == 1.5);
}

TEST_CASE("CanaryPolicy: errors", "[gateway][route]") {
  struct Row {
    const char* what;
    uint64_t calls, failed, target_calls, target_failed;
    CanaryStanding standing;
    uint32_t allowed = 0;
  };
  const Row row =
      GENERATE(Row{"nothing known", 0, 0, 0, 0, CanaryStanding::kAsGood},
               Row{"both well", 1000, 0, 9000, 0, CanaryStanding::kAsGood},
               Row{"all fail", 20, 20, 1000, 0, CanaryStanding::kWorse},
               Row{"the first five fail", 5, 5, 100, 0, CanaryStanding::kWorse},
               Row{"four may be chance", 4, 4, 100, 0, CanaryStanding::kOpen},
               Row{"one of a hundred is allowed", 100, 1, 1000, 0, CanaryStanding::kAsGood},
               Row{"a little more", 100, 3, 1000, 0, CanaryStanding::kOpen},
               Row{"much more", 200, 20, 2000, 2, CanaryStanding::kWorse},
               Row{"as many as the targets", 200, 20, 2000, 210, CanaryStanding::kAsGood},
               Row{"fewer than the targets", 200, 0, 2000, 1000, CanaryStanding::kAsGood},
               Row{"much more, and allowed", 200, 20, 2000, 2, CanaryStanding::kAsGood, 15},
               Row{"alone, a third fails", 300, 100, 3, 0, CanaryStanding::kAsGood},
               Row{"alone, all fail", 30, 30, 3, 0, CanaryStanding::kWorse});
  CAPTURE(row.what);
  const TrialFigures seen{.canary = ASide(row.calls, row.failed),
                          .targets = ASide(row.target_calls, row.target_failed)};
  CHECK(CanaryPolicy::Errors(seen, Limits(row.allowed)) == row.standing);
}

TEST_CASE("CanaryPolicy: more failures are never better", "[gateway][route]") {
  for (uint64_t calls : {5, 20, 100, 1000}) {
    CanaryStanding before = CanaryStanding::kAsGood;
    for (uint64_t failed = 0; failed <= calls; ++failed) {
      const TrialFigures seen{.canary = ASide(calls, failed), .targets = ASide(500, 10)};
      const CanaryStanding now = CanaryPolicy::Errors(seen, Limits());
      CHECK(now <= before);  // from kAsGood by kOpen to kWorse
      before = now;
    }
    CHECK(before == CanaryStanding::kWorse);
  }
}

TEST_CASE("CanaryPolicy: latency", "[gateway][route]") {
  struct Row {
    const char* what;
    uint64_t calls, target_calls;
    double latency, target_latency;  // ms
    CanaryStanding standing;
    uint32_t allowed = 0;
  };
  const Row row =
      GENERATE(Row{"the same", 200, 2000, 10, 10, CanaryStanding::kAsGood},
               Row{"within what is allowed", 200, 2000, 14, 10, CanaryStanding::kAsGood},
               Row{"twice as long", 200, 2000, 20, 10, CanaryStanding::kWorse},
               Row{"twice as long, and allowed", 200, 2000, 20, 10, CanaryStanding::kAsGood, 300},
               Row{"too few answers of it", 19, 2000, 200, 10, CanaryStanding::kAsGood},
               Row{"too few to be sure", 200, 100, 20, 10, CanaryStanding::kOpen},
               Row{"nobody to be measured by", 200, 3, 20, 10, CanaryStanding::kAsGood},
               Row{"less than a millisecond more", 200, 2000, 0.9, 0.1, CanaryStanding::kAsGood},
               Row{"faster", 200, 2000, 1, 10, CanaryStanding::kAsGood});
  CAPTURE(row.what);
  const TrialFigures seen{
      .canary = ASide(row.calls, 0, absl::Milliseconds(row.latency)),
      .targets = ASide(row.target_calls, 0, absl::Milliseconds(row.target_latency))};
  CHECK(CanaryPolicy::Latency(seen, Limits(0, row.allowed)) == row.standing);
}

TEST_CASE("CanaryPolicy: says what it saw", "[gateway][route]") {
  const TrialFigures seen{.canary = ASide(40, 12), .targets = ASide(800, 3)};
  CHECK(CanaryPolicy::ErrorsText(seen) == "12 of 40 calls failed, 3 of 800 at the targets");
  CHECK(CanaryPolicy::LatencyText(seen).starts_with("95% of answers within 10."));
}

}  // namespace
}  // namespace torchfleet::gateway
