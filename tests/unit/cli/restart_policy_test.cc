#include "cli/up/restart_policy.h"

#include <catch2/catch_test_macros.hpp>

namespace torchfleet::cli {
namespace {

TEST_CASE("RestartPolicy: waits twice as long each time, up to ten seconds", "[cli][up]") {
  RestartPolicy policy;
  for (const int milliseconds : {100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000}) {
    CHECK(policy.AfterRun(absl::Seconds(1)) == absl::Milliseconds(milliseconds));
  }
}

TEST_CASE("RestartPolicy: a run of ten seconds is forgiven", "[cli][up]") {
  RestartPolicy policy;
  for (int i = 0; i < 5; ++i) policy.AfterRun(absl::ZeroDuration());
  CHECK(policy.AfterRun(absl::Seconds(10)) == absl::Milliseconds(100));
}

}  // namespace
}  // namespace torchfleet::cli
