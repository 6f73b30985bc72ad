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

TEST_CASE("TokenBucket: gives back what was earned, up to the burst", "[net][http2]") {
  TokenBucket bucket({.burst = 2, .per_second = 0});
  const Instant now = Instant::FromStart(absl::Seconds(5));
  bucket.Give();
  CHECK(bucket.Take(now));
  CHECK(bucket.Take(now));
  CHECK_FALSE(bucket.Take(now));
  bucket.Give();
  CHECK(bucket.Take(now));
  CHECK_FALSE(bucket.Take(now));
}

}  // namespace
}  // namespace torchfleet::net
