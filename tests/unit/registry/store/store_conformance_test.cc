// What store.h promises, over every store.

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <set>
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

bool KnowsAll(Follower& follower, Store& store) {
  const auto latest = Latest(store);
  return latest.ok() && follower.WaitForRevision(*latest);
}

TEST_CASE("Store: what is committed is what followers know", "[registry][store]") {
  const auto opened = AnyKind().open();
  Store& store = opened->store();
  Follower follower(store);
  const auto first = Commit(store, Put("models/a", "1"));
  const auto second = Commit(store, Put("models/b", ""));
  const auto third = Commit(store, Put("models/a", std::string("3\0\xff", 3)));
  REQUIRE(third.ok());
  CHECK(*first < *second);
  CHECK(*second < *third);
  REQUIRE(KnowsAll(follower, store));
  CHECK(follower.texts(Space::kCatalogue) ==
        Texts{{"models/a", std::string("3\0\xff", 3)}, {"models/b", ""}});
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
  REQUIRE(KnowsAll(follower, store));
  CHECK(follower.texts(Space::kCatalogue) == Texts{{"a", "2"}, {"b", "1"}});
  CHECK(follower.texts(Space::kLive) == Texts{{"workers/w", "here"}});
  CHECK(follower.items(Space::kLive)["workers/w"].lease == lease);
  CHECK(follower.broken() == "");
}

TEST_CASE("Store: a removed key is gone, with an event; removing nothing is no change",
          "[registry][store]") {
  const auto opened = AnyKind().open();
  Store& store = opened->store();
  Follower follower(store);
  const auto put = Commit(store, Put("a", "1"));
  const auto removed = Commit(store, Remove("a"));
  REQUIRE(removed.ok());
  CHECK(*removed > *put);
  REQUIRE(KnowsAll(follower, store));
  CHECK(follower.texts(Space::kCatalogue).empty());
  const auto events = follower.events();
  REQUIRE(events.size() == 2);
  CHECK(events[1].second.value == nullptr);
  CHECK(events[1].second.modified == *removed);

  REQUIRE(Commit(store, Remove("a")).ok());
  const auto again = Commit(store, Put("a", "2"));
  REQUIRE(again.ok());
  CHECK(*again > *removed);
  REQUIRE(KnowsAll(follower, store));
  CHECK(follower.events().size() == 3);
  CHECK(follower.items(Space::kCatalogue)["a"].created == *again);
  CHECK(follower.broken() == "");
}

TEST_CASE("Store: a condition that does not hold stops all of a transaction", "[registry][store]") {
  const auto opened = AnyKind().open();
  Store& store = opened->store();
  const uint64_t first = *Commit(store, PutIf("a", "1", 0));
  CHECK(absl::IsAborted(Commit(store, PutIf("a", "2", 0)).status()));
  CHECK(absl::IsAborted(Commit(store, PutIf("a", "2", first + 1000)).status()));
  CHECK(absl::IsAborted(Commit(store, PutIf("b", "2", first)).status()));
  Transaction both = PutIf("a", "2", first);
  both.conditions.push_back({.key = "b", .modified = first});
  both.writes.push_back({.key = "c", .value = Text("3")});
  CHECK(absl::IsAborted(Commit(store, both).status()));

  Transaction good = PutIf("a", "2", first);
  good.conditions.push_back({.key = "b", .modified = 0});
  good.writes.push_back({.key = "c", .value = Text("3")});
  const auto second = Commit(store, good);
  REQUIRE(second.ok());
  CHECK(absl::IsAborted(Commit(store, PutIf("a", "4", first)).status()));
  Follower follower(store);
  REQUIRE(KnowsAll(follower, store));
  CHECK(follower.texts(Space::kCatalogue) == Texts{{"a", "2"}, {"c", "3"}});
  CHECK(follower.items(Space::kCatalogue)["a"].modified == *second);
  CHECK(follower.items(Space::kCatalogue)["c"].modified == *second);
}

TEST_CASE("Store: a transaction that breaks the rules is refused", "[registry][store]") {
  const auto opened = AnyKind().open();
  Store& store = opened->store();
  const LeaseId lease = *Grant(store, kLong);
  Transaction twice = Put("a", "1");
  twice.writes.push_back({.key = "a"});
  Transaction many;
  for (size_t i = 0; i <= kMaxWrites; ++i) {
    many.writes.push_back({.key = "k" + std::to_string(i), .value = Text("")});
  }
  Transaction leased = Put("a", "1");
  leased.writes[0].lease = lease;
  for (const Transaction& wrong : {twice, many, leased, Put("", "1"), PutLive("a", "1", 0)}) {
    CHECK(absl::IsInvalidArgument(Commit(store, wrong).status()));
  }
  many.writes.pop_back();
  CHECK(Commit(store, many).ok());
}

TEST_CASE("Store: keys go when their lease ends", "[registry][store]") {
  const StoreKind& kind = AnyKind();
  const auto opened = kind.open();
  Store& store = opened->store();
  Follower follower(store);
  const LeaseId lasting = *Grant(store, kLong);
  const LeaseId lease = *Grant(store, kind.shortest_ttl);
  Transaction both = PutLive("workers/b", "1", lease);
  both.writes.push_back({.key = "workers/a", .value = Text("2"), .lease = lease});
  both.writes.push_back({.key = "workers/c", .value = Text("3"), .lease = lasting});
  const auto committed = Commit(store, both);
  REQUIRE(committed.ok());
  REQUIRE(follower.WaitFor([](const Follower& f) { return f.events().size() == 5; }));
  CHECK(follower.texts(Space::kLive) == Texts{{"workers/c", "3"}});
  const auto events = follower.events();
  CHECK(events[3].second.modified > *committed);
  CHECK(events[3].second.modified == events[4].second.modified);
  CHECK(absl::IsNotFound(Renew(store, lease)));
  CHECK(absl::IsNotFound(Revoke(store, lease)));
  CHECK(absl::IsNotFound(Commit(store, PutLive("workers/a", "4", lease)).status()));
  CHECK(Renew(store, lasting).ok());
  CHECK(follower.broken() == "");
}

TEST_CASE("Store: a revoked lease takes its keys along at once", "[registry][store]") {
  const auto opened = AnyKind().open();
  Store& store = opened->store();
  Follower follower(store);
  const LeaseId lease = *Grant(store, kLong);
  const LeaseId other = *Grant(store, kLong);
  CHECK(lease != other);
  REQUIRE(Commit(store, PutLive("workers/a", "1", lease)).ok());
  REQUIRE(Commit(store, PutLive("workers/b", "1", lease)).ok());
  // Moves to the other lease.
  REQUIRE(Commit(store, PutLive("workers/b", "2", other)).ok());
  REQUIRE(Revoke(store, lease).ok());
  REQUIRE(KnowsAll(follower, store));
  CHECK(follower.texts(Space::kLive) == Texts{{"workers/b", "2"}});
  CHECK(absl::IsNotFound(Revoke(store, lease)));
  REQUIRE(Revoke(store, other).ok());
  REQUIRE(KnowsAll(follower, store));
  CHECK(follower.texts(Space::kLive).empty());
  CHECK(follower.broken() == "");
}

TEST_CASE("Store: a live key's revision serves as an epoch", "[registry][store]") {
  const auto opened = AnyKind().open();
  Store& store = opened->store();
  const LeaseId lease = *Grant(store, kLong);
  const uint64_t old = *Commit(store, PutLive("workers/w", "1", lease));
  const uint64_t epoch = *Commit(store, PutLive("workers/w", "2", lease));
  Transaction zombie = PutLive("loads/w", "x", lease);
  zombie.conditions = {{.key = "workers/w", .modified = old}};
  CHECK(absl::IsAborted(Commit(store, zombie).status()));
  Transaction renewal = PutLive("loads/w", "y", lease);
  renewal.conditions = {{.key = "workers/w", .modified = epoch}};
  CHECK(Commit(store, renewal).ok());
}

TEST_CASE("Store: revisions never go back, not even over restarts", "[registry][store]") {
  const StoreKind& kind = AnyKind();
  const auto opened = kind.open();
  std::set<std::string> incarnations;
  uint64_t catalogue = 0, live = 0, position = 0;
  LeaseId last_lease = 0;
  for (int life = 0; life < 3; ++life) {
    Store& store = opened->store();
    auto follower = std::make_unique<Follower>(store);
    const LeaseId lease = *Grant(store, kLong);
    CHECK(lease != std::exchange(last_lease, lease));
    for (int i = 0; i < 3; ++i) {
      const uint64_t before = std::exchange(catalogue, *Commit(store, Put("a", "1")));
      CHECK(catalogue > before);
      const uint64_t epoch = std::exchange(live, *Commit(store, PutLive("workers/w", "1", lease)));
      CHECK(live > epoch);
    }
    REQUIRE(KnowsAll(*follower, store));
    CHECK(follower->position().revision > position);
    position = follower->position().revision;
    incarnations.insert(follower->position().incarnation);
    CHECK(follower->broken() == "");
    REQUIRE(Commit(store, Remove("a")).ok());
    if (kind.live_outlives_registry) REQUIRE(Revoke(store, lease).ok());
    follower.reset();
    opened->Restart();
  }
  CHECK(incarnations.size() == (kind.live_outlives_registry ? 1 : 3));
}

TEST_CASE("Store: a restart keeps the catalogue and forgets what is live", "[registry][store]") {
  const StoreKind& kind = AnyKind();
  const auto opened = kind.open();
  const uint64_t created = *Commit(opened->store(), Put("a", "1"));
  const uint64_t modified = *Commit(opened->store(), Put("a", "2"));
  REQUIRE(Commit(opened->store(), Put("b", "3")).ok());
  REQUIRE(Commit(opened->store(), Remove("b")).ok());
  const LeaseId lease = *Grant(opened->store(), kLong);
  REQUIRE(Commit(opened->store(), PutLive("workers/w", "1", lease)).ok());
  opened->Restart();
  Store& store = opened->store();
  Follower follower(store);
  REQUIRE(KnowsAll(follower, store));
  if (kind.durable) {
    CHECK(follower.texts(Space::kCatalogue) == Texts{{"a", "2"}});
    CHECK(follower.items(Space::kCatalogue)["a"].created == created);
    CHECK(follower.items(Space::kCatalogue)["a"].modified == modified);
    CHECK(Commit(store, PutIf("a", "4", modified)).ok());
  }
  if (!kind.live_outlives_registry) {
    CHECK(follower.texts(Space::kLive).empty());
    CHECK(absl::IsNotFound(Renew(store, lease)));
  }
}

TEST_CASE("Store: followers have heard of a commit before it is acknowledged",
          "[registry][store]") {
  const auto opened = AnyKind().open();
  Store& store = opened->store();
  Follower follower(store);
  REQUIRE(KnowsAll(follower, store));
  const LeaseId lease = *Grant(store, kLong);
  for (int i = 0; i < 50; ++i) {
    const std::string text = std::to_string(i);
    const bool live = i % 2 == 0;
    std::promise<bool> heard;
    store.Commit(
        live ? PutLive("w", text, lease) : Put("m", text), [&](absl::StatusOr<uint64_t> committed) {
          const Space space = live ? Space::kLive : Space::kCatalogue;
          heard.set_value(committed.ok() && follower.texts(space)[live ? "w" : "m"] == text);
        });
    REQUIRE(heard.get_future().get());
  }
}

TEST_CASE("Store: of many that would make a key one does", "[registry][store]") {
  const auto opened = AnyKind().open();
  Store& store = opened->store();
  Follower follower(store);
  std::atomic<int> won = 0, lost = 0;
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 25; ++i) {
        const auto committed = Commit(store, PutIf("key" + std::to_string(i), "x", 0));
        if (committed.ok()) ++won;
        if (absl::IsAborted(committed.status())) ++lost;
      }
    });
  }
  threads.clear();
  CHECK(won == 25);
  CHECK(lost == 75);
  REQUIRE(KnowsAll(follower, store));
  CHECK(follower.events().size() == 25);
  CHECK(follower.broken() == "");
}

TEST_CASE("Store: a listener may call the store", "[registry][store]") {
  const auto opened = AnyKind().open();
  // Counts up under a condition, as often as it is told of the last count.
  Follower counter(opened->store(), [&store = opened->store()](const Item& item) {
    const int count = std::stoi(*item.value);
    if (count < 20) {
      store.Commit(PutIf("count", std::to_string(count + 1), item.modified), [](auto) {});
    }
  });
  REQUIRE(Commit(opened->store(), Put("count", "1")).ok());
  CHECK(counter.WaitFor(
      [](const Follower& f) { return f.texts(Space::kCatalogue)["count"] == "20"; }));
  CHECK(counter.broken() == "");
}

TEST_CASE("Store: followers come and go while there are changes", "[registry][store]") {
  const auto opened = AnyKind().open();
  Store& store = opened->store();
  std::atomic<bool> stop = false;
  std::jthread writer([&] {
    for (int i = 0; !stop; ++i) (void)Commit(store, Put("a" + std::to_string(i % 7), "x"));
  });
  for (int i = 0; i < 50; ++i) {
    Follower follower(store);
    CHECK(KnowsAll(follower, store));
    CHECK(follower.broken() == "");
  }
  stop = true;
}

}  // namespace
}  // namespace torchfleet::registry
