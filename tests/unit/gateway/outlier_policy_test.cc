#include "gateway/balance/outlier_policy.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <string>

namespace torchfleet::gateway {
namespace {

using Endpoints = std::vector<OutlierFigures>;
using Verdicts = std::vector<OutlierVerdict>;
using enum OutlierVerdict;

// Serves well.
constexpr OutlierFigures kWell{.answers = 100, .recent_answers = 20, .usual_latency = 5000};
constexpr OutlierFigures kIdle{};

OutlierFigures Slow(double latency, double answers = 20) {
  return {.answers = 100, .recent_answers = answers, .usual_latency = latency};
}
OutlierFigures Errors(double errors, double answers, int in_a_row = 0) {
  return {.errors_in_a_row = in_a_row, .answers = answers, .errors = errors};
}
OutlierFigures Ejected(OutlierFigures one) {
  one.ejected = true;
  return one;
}
constexpr OutlierFigures kMute{.silent_in_a_row = 5};

TEST_CASE("OutlierPolicy: who is so much worse than its peers", "[gateway][outlier]") {
  struct Row {
    std::string name;
    Endpoints endpoints;
    Verdicts verdicts;
  };
  const std::vector<Row> rows = {
      {"nobody", {}, {}},
      {"all well", {kWell, kWell, kWell}, {kNone, kNone, kNone}},
      {"silent", {kWell, kMute, kWell}, {kNone, kSilent, kNone}},
      {"the only one stays", {kMute}, {kNone}},
      {"never more than half", {kMute, kMute, kMute}, {kSilent, kNone, kNone}},
      {"those out already count", {Ejected(kMute), kMute, kWell}, {kNone, kNone, kNone}},
      {"errors in a row", {kWell, Errors(5, 0, 5)}, {kNone, kFailing}},
      {"errors in a row of all are the callers'",
       {Errors(5, 0, 5), Errors(5, 0, 5), Errors(9, 1, 5)},
       {kNone, kNone, kNone}},
      {"a larger share of errors", {kWell, Errors(30, 70), kWell}, {kNone, kFailing, kNone}},
      {"not much larger", {Errors(15, 85), Errors(30, 70)}, {kNone, kNone}},
      {"too few calls to tell", {kWell, Errors(3, 3)}, {kNone, kNone}},
      {"slow", {kWell, kWell, Slow(16000), kWell}, {kNone, kNone, kSlow, kNone}},
      {"not slow enough", {kWell, kWell, Slow(14000), kWell}, {kNone, kNone, kNone, kNone}},
      {"slow among the fast is not slow", {Slow(100), Slow(100), Slow(900)}, {kNone, kNone, kNone}},
      {"too few answers to tell", {kWell, kWell, Slow(50000, 4)}, {kNone, kNone, kNone}},
      {"no peers to be measured by", {kIdle, Slow(50000)}, {kNone, kNone}},
      {"the slowest, when only one may go",
       {kWell, kWell, kWell, Slow(20000), Slow(30000)},
       {kNone, kNone, kNone, kNone, kSlow}},
      {"two kinds of machines",
       {Slow(1000), Slow(1000), Slow(9000), Slow(9000)},
       {kNone, kNone, kSlow, kNone}},
      {"silent before slow", {Slow(50000), kMute, kWell}, {kNone, kSilent, kNone}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    CHECK(OutlierPolicy::Judge(row.endpoints) == row.verdicts);
  }
}

TEST_CASE("OutlierPolicy: a quarter of many may go for slowness, a half for failing",
          "[gateway][outlier]") {
  Endpoints endpoints(100, kWell);
  for (size_t i = 0; i < 40; ++i) endpoints[i] = Slow(50000);
  const auto slow = OutlierPolicy::Judge(endpoints);
  CHECK(std::count(slow.begin(), slow.end(), kSlow) == 25);
  for (OutlierFigures& one : endpoints) one = kMute;
  const auto mute = OutlierPolicy::Judge(endpoints);
  CHECK(std::count(mute.begin(), mute.end(), kSilent) == 50);
}

}  // namespace
}  // namespace torchfleet::gateway
