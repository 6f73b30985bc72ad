// What store.h promises, over every store.

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <thread>

#include "tests/unit/registry/store/store_calls.h"
#include "tests/unit/registry/store/store_kinds.h"

namespace torchfleet::registry {
namespace {

const StoreKind& AnyKind() {
  const auto index = GENERATE(range(size_t{0}, StoreKinds().size()));
  return StoreKinds()[index];
}

constexpr absl::Duration kLong = absl::Minutes(10);

TEST_CASE("Store: what is committed is what followers know", "[registry][store]") {
  const auto opened = AnyKind().open();
  Store& store = opened->store();
  Follower follower(store);
  const auto first = Commit(store, Put("models/a", "1"));
  const auto second = Commit(store, Put("models/b", "2"));
  const auto third = Commit(store, Put("models/a", "3"));
  REQUIRE(third.ok());
  CHECK(*first < *second);
  CHECK(*second < *third);
  REQUIRE(follower.WaitForRevision(*Latest(store)));
  CHECK(follower.texts(Space::kCatalogue) == Texts{{"models/a", "3"}, {"models/b", "2"}});
  const Item a = follower.items(Space::kCatalogue)["models/a"];
  CHECK(a.created == *first);
  CHECK(a.modified == *third);
  CHECK(follower.broken() == "");
}

TEST_CASE("Store: a follower that comes late gets everything first", "[registry][store]") {
  const auto opened = AnyKind().open();
  Store& store = opened->store();
  REQUIRE(Commit(store, Put("b", "1")).ok());
  REQUIRE(Commit(store, Put("a", "2")).ok());
  const LeaseId lease = *Grant(store, kLong);
  REQUIRE(Commit(store, PutLive("workers/w", "here", lease)).ok());
  Follower follower(store);
  REQUIRE(follower.WaitForRevision(*Latest(store)));
  CHECK(follower.texts(Space::kCatalogue) == Texts{{"a", "2"}, {"b", "1"}});
  CHECK(follower.texts(Space::kLive) == Texts{{"workers/w", "here"}});
  CHECK(follower.items(Space::kLive)["workers/w"].lease == lease);
  CHECK(follower.broken() == "");
}

}  // namespace
}  // namespace torchfleet::registry
