#include "cli/load/load_tally.h"

#include <catch2/catch_test_macros.hpp>

namespace torchfleet::cli {
namespace {

Instant At(int seconds) { return Instant::FromStart(absl::Seconds(seconds)); }

LoadTally Tally(int begin, int end, const std::string& code) {
  LoadTally tally;
  tally.ok = 10;
  tally.latency.Record(absl::Milliseconds(end));
  tally.AddFailure(code, 2, code + " happened");
  tally.late = 3;
  tally.not_begun = 4;
  tally.all_calls = 16;
  tally.window_begin = At(begin);
  tally.window_end = At(end);
  return tally;
}

TEST_CASE("LoadTally: threads add up, each code by itself", "[cli][load]") {
  LoadTally sum;
  sum.Add(Tally(5, 9, "UNAVAILABLE"));
  sum.Add(Tally(4, 8, "INTERNAL"));
  sum.Add(Tally(6, 7, "INTERNAL"));
  CHECK(sum.ok == 30);
  CHECK(sum.failed() == 6);
  CHECK(sum.failed({"INTERNAL", "ABORTED"}) == 2);
  CHECK(sum.failures.at("INTERNAL").count == 4);
  CHECK(sum.failures.at("UNAVAILABLE").count == 2);
  CHECK(sum.late == 9);
  CHECK(sum.not_begun == 12);
  CHECK(sum.all_calls == 48);
  CHECK(sum.latency.count() == 3);
  CHECK(sum.latency.max() == absl::Milliseconds(9));
  CHECK(sum.window() == absl::Seconds(5));
}

TEST_CASE("LoadTally: a code keeps what was said of it first", "[cli][load]") {
  LoadTally tally;
  tally.AddFailure("503", 1, "too much");
  tally.AddFailure("503", 1, "still too much");
  CHECK(tally.failures.at("503").count == 2);
  CHECK(tally.failures.at("503").message == "too much");
}

TEST_CASE("LoadTally: a thread without calls does not move the window", "[cli][load]") {
  LoadTally sum;
  sum.Add(LoadTally());
  CHECK(sum.window() == absl::ZeroDuration());
  sum.Add(Tally(5, 9, "UNAVAILABLE"));
  sum.Add(LoadTally());
  CHECK(sum.window() == absl::Seconds(4));
}

}  // namespace
}  // namespace torchfleet::cli
