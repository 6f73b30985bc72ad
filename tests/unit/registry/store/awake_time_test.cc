#include "registry/store/awake_time.h"

#include <catch2/catch_test_macros.hpp>

namespace torchfleet::registry {
namespace {

Instant At(double seconds) { return Instant::FromStart(absl::Seconds(seconds)); }

TEST_CASE("AwakeTime: runs with the clock while somebody looks", "[registry][store]") {
  AwakeTime awake(At(100));
  CHECK(awake.At(At(100)) == At(100));
  CHECK(awake.At(At(100.25)) == At(100.25));
  // A late look, as on a busy machine.
  CHECK(awake.At(At(101.25)) == At(101.25));
  CHECK(awake.slept() == absl::ZeroDuration());
}

TEST_CASE("AwakeTime: stands still while nobody looks for long", "[registry][store]") {
  AwakeTime awake(At(100));
  CHECK(awake.At(At(101.5)) == At(100));
  CHECK(awake.At(At(102)) == At(100.5));
  CHECK(awake.At(At(3702)) == At(100.5));
  CHECK(awake.At(At(3702.5)) == At(101));
  CHECK(awake.slept() == absl::Seconds(3601.5));
}

TEST_CASE("AwakeTime: never goes back", "[registry][store]") {
  AwakeTime awake(At(100));
  CHECK(awake.At(At(99)) == At(100));
  CHECK(awake.At(At(100.5)) == At(100.5));
}

}  // namespace
}  // namespace torchfleet::registry
