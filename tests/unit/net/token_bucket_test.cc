#include "net/http2/token_bucket.h"

#include <catch2/catch_test_macros.hpp>

namespace torchfleet::net {
namespace {

TEST_CASE("TokenBucket: a burst, then so many a second", "[net][http2]") {
  TokenBucket bucket({.burst = 3, .per_second = 2});
  const Instant start = Instant::FromStart(absl::Seconds(5));
  for (int i = 0; i < 3; ++i) CHECK(bucket.Take(start));
  CHECK_FALSE(bucket.Take(start));
  CHECK_FALSE(bucket.Take(start + absl::Milliseconds(400)));
  CHECK(bucket.Take(start + absl::Milliseconds(600)));
  CHECK_FALSE(bucket.Take(start + absl::Milliseconds(600)));
  // Never more than the burst.
  for (int i = 0; i < 3; ++i) CHECK(bucket.Take(start + absl::Hours(1)));
  CHECK_FALSE(bucket.Take(start + absl::Hours(1)));
}

}  // namespace
}  // namespace torchfleet::net
