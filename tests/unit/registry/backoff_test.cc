#include "registry/client/backoff.h"

#include <catch2/catch_test_macros.hpp>

namespace torchfleet::registry {
namespace {

TEST_CASE("Backoff: doubles up to two seconds, each wait spread over its upper half",
          "[registry][client]") {
  Backoff backoff(1);
  for (const int milliseconds : {50, 100, 200, 400, 800, 1600, 2000, 2000}) {
    const absl::Duration wait = backoff.Next();
    CHECK(wait >= absl::Milliseconds(milliseconds) / 2);
    CHECK(wait <= absl::Milliseconds(milliseconds));
  }
}

TEST_CASE("Backoff: begins again after a success", "[registry][client]") {
  Backoff backoff(2);
  for (int i = 0; i < 10; ++i) backoff.Next();
  backoff.Reset();
  CHECK(backoff.Next() <= absl::Milliseconds(50));
}

TEST_CASE("Backoff: two clients do not wait alike", "[registry][client]") {
  Backoff one(1), other(2);
  CHECK(one.Next() != other.Next());
}

}  // namespace
}  // namespace torchfleet::registry
