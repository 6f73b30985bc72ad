#include "registry/commands/catalogue_copy.h"

#include <catch2/catch_test_macros.hpp>

#include "base/ids.h"
#include "registry/store/etcd_store.h"
#include "registry/store/memory_store.h"
#include "registry/store/sqlite_store.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/unit/registry/store/etcd_cluster.h"
#include "tests/unit/registry/store/store_calls.h"

namespace torchfleet::registry {
namespace {

// A model, changed twice, one that is gone, and a route.
void Fill(Store& store) {
  const auto change = [&](const std::string& id, Write write) {
    Transaction transaction;
    transaction.writes.push_back({.key = "changes/" + id, .value = Text("change " + id)});
    transaction.writes.push_back(std::move(write));
    REQUIRE(Commit(store, transaction).ok());
  };
  change("z1", {.key = "models/a", .value = Text("first")});
  change("y2", {.key = "models/b", .value = Text("short lived")});
  change("x3", {.key = "models/a", .value = Text(std::string(100000, 'a'))});
  change("w4", {.key = "routes/a", .value = Text(std::string("with\0zero", 9))});
  change("v5", {.key = "models/b"});
}

struct Known {
  Texts texts = {};
  // Keys of changes in the order in which they were made, and at which change
  // each other key was written last.
  std::vector<std::string> order = {};
  Texts written_at = {};
  bool operator==(const Known&) const = default;
};

Known Knowing(Store& store) {
  Follower follower(store);
  REQUIRE(follower.WaitForRevision(Latest(store).value()));
  Known known{.texts = follower.texts(Space::kCatalogue)};
  std::map<uint64_t, std::string> changes;
  for (const auto& [key, item] : follower.items(Space::kCatalogue)) {
    if (key.starts_with("changes/")) changes[item.created] = key;
  }
  for (const auto& [revision, key] : changes) known.order.push_back(key);
  for (const auto& [key, item] : follower.items(Space::kCatalogue)) {
    known.written_at[key] = changes.at(item.modified);
  }
  return known;
}

TEST_CASE("CopyCatalogue: SQLite to etcd and back keeps everything", "[registry][commands]") {
  const MonotonicClock clock;
  const TemporaryFolder folder;
  const EtcdCluster cluster;
  const auto first = SqliteStore::Open((folder.path() / "first.db").string(), clock).value();
  const auto etcd = EtcdStore::Open(cluster.Address("x"), clock).value();
  const auto last = SqliteStore::Open((folder.path() / "last.db").string(), clock).value();
  Fill(*first);
  const Known expected = Knowing(*first);
  REQUIRE(expected.order.size() == 5);

  const auto there = CopyCatalogue(*first, *etcd, false);
  REQUIRE(there.ok());
  CHECK(there->models == 1);
  CHECK(there->routes == 1);
  CHECK(there->changes == 5);
  CHECK(Knowing(*etcd) == expected);
  REQUIRE(CopyCatalogue(*etcd, *last, false).ok());
  CHECK(Knowing(*last) == expected);
}

TEST_CASE("CopyCatalogue: a target with a catalogue is replaced only if told",
          "[registry][commands]") {
  const MonotonicClock clock;
  MemoryStore from(clock), to(clock);
  Fill(from);
  REQUIRE(Commit(to, Put("models/theirs", "1")).ok());
  CHECK(absl::IsFailedPrecondition(CopyCatalogue(from, to, false).status()));
  CHECK(Follower(to).texts(Space::kCatalogue) == Texts{{"models/theirs", "1"}});
  REQUIRE(CopyCatalogue(from, to, true).ok());
  CHECK(Knowing(to) == Knowing(from));
}

TEST_CASE("CopyCatalogue: more than a transaction takes", "[registry][commands]") {
  const MonotonicClock clock;
  MemoryStore from(clock), to(clock);
  Transaction whole;
  for (size_t i = 0; i < kMaxWrites; ++i) {
    whole.writes.push_back({.key = "models/" + std::to_string(i), .value = Text("x")});
  }
  REQUIRE(Commit(from, whole).ok());
  for (int i = 0; i < 250; ++i)
    REQUIRE(Commit(from, Put("changes/" + std::to_string(i), "c")).ok());
  REQUIRE(CopyCatalogue(from, to, false).ok());
  REQUIRE(CopyCatalogue(from, to, true).ok());
  CHECK(Follower(to).texts(Space::kCatalogue) == Follower(from).texts(Space::kCatalogue));
}

}  // namespace
}  // namespace torchfleet::registry
