#include "cli/up/scale_policy.h"

#include <catch2/catch_test_macros.hpp>
#include <vector>

namespace torchfleet::cli {
namespace {

Instant At(int seconds) { return Instant::FromStart(absl::Seconds(seconds)); }

// Workers of 8 calls each.
ScaleSignal Of(int workers, uint64_t in_flight) {
  return {.workers = workers, .in_flight = in_flight, .capacity = 8u * workers};
}

TEST_CASE("ScalePolicy: as many as keep what is in flight at three quarters", "[cli][up]") {
  struct Row {
    ScaleSignal signal;
    std::optional<int> desired;
  };
  const std::vector<Row> rows = {
      {Of(1, 0), 0},
      {Of(1, 1), 1},
      {Of(1, 6), 1},
      {Of(1, 7), 2},
      {Of(2, 7), 2},
      {Of(2, 12), 2},
      {Of(2, 13), 3},
      {Of(1, 600), 100},
      {{.workers = 3, .in_flight = 3, .capacity = 3}, 4},
      // Nobody says what there is to do.
      {{.workers = 0, .in_flight = 0, .capacity = 0}, std::nullopt},
      {{.workers = 1, .in_flight = 5, .capacity = 0}, std::nullopt},
  };
  for (const Row& row : rows) {
    CAPTURE(row.signal.workers, row.signal.in_flight, row.signal.capacity);
    CHECK(ScalePolicy::Desired(row.signal) == row.desired);
  }
}

TEST_CASE("ScalePolicy: more at once, fewer after a hold-down", "[cli][up]") {
  struct Row {
    int at;
    uint64_t in_flight;
    int count;
  };
  const ScaleBounds bounds = {.least = 1, .most = 5};
  ScalePolicy policy(1, absl::Seconds(60));
  const std::vector<Row> rows = {
      {0, 1, 1},   {1, 13, 3},                 // at once
      {2, 900, 5},                             // no more than there may be
      {10, 1, 5},                              // held down
      {40, 13, 5},                             // what is needed meanwhile counts
      {60, 1, 5},  {69, 1, 5},   {70, 1, 3},   // as many as the busiest moment needed
      {80, 1, 3},  {139, 18, 3},               // all are needed: from the beginning
      {140, 0, 3}, {199, 0, 3},  {200, 0, 1},  // no fewer than there may be
      {900, 0, 1},
  };
  for (const Row& row : rows) {
    CAPTURE(row.at);
    CHECK(policy.Decide(Of(policy.count(), row.in_flight), bounds, At(row.at)) == row.count);
  }
}

TEST_CASE("ScalePolicy: bounds hold at once, and without a worker it stays", "[cli][up]") {
  ScalePolicy policy(4, absl::Seconds(60));
  CHECK(policy.Decide({}, {.least = 1, .most = 9}, At(0)) == 4);
  CHECK(policy.Decide({}, {.least = 1, .most = 9}, At(500)) == 4);
  CHECK(policy.Decide({}, {.least = 6, .most = 9}, At(501)) == 6);
  CHECK(policy.Decide(Of(6, 0), {.least = 1, .most = 2}, At(502)) == 2);
}

}  // namespace
}  // namespace torchfleet::cli
