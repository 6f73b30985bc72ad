#include "registry/store/sqlite_store.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <filesystem>
#include <fstream>
#include <latch>
#include <random>

#include "tests/fakes/temporary_folder.h"
#include "tests/unit/registry/store/faulty_disk.h"
#include "tests/unit/registry/store/store_calls.h"

namespace torchfleet::registry {
namespace {

using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

// A catalogue in a folder of its own.
struct Registry {
  MonotonicClock clock;
  TemporaryFolder folder;
  std::string path = (folder.path() / "registry.db").string();

  absl::StatusOr<std::unique_ptr<SqliteStore>> TryOpen() { return SqliteStore::Open(path, clock); }
  std::unique_ptr<SqliteStore> Open() {
    auto opened = TryOpen();
    REQUIRE(opened.status() == absl::OkStatus());
    return *std::move(opened);
  }
  // What is in the file, as a new life sees it.
  Texts Catalogue() {
    const auto store = Open();
    Follower follower(*store);
    REQUIRE(follower.WaitForRevision(*Latest(*store)));
    return follower.texts(Space::kCatalogue);
  }
  void RunSql(const std::string& sql) {
    auto connection = SqliteConnection::Open(path, false);
    REQUIRE(connection.ok());
    REQUIRE(connection->Run(sql) == absl::OkStatus());
  }
};

TEST_CASE("SqliteStore: one registry for one file, and no other writer", "[registry][store]") {
  Registry registry;
  auto store = registry.Open();
  const auto second = registry.TryOpen();
  CHECK(absl::IsFailedPrecondition(second.status()));
  CHECK_THAT(std::string(second.status().message()),
             ContainsSubstring("one registry for one file") && ContainsSubstring(registry.path));
  auto stranger = SqliteConnection::Open(registry.path, false);
  REQUIRE(stranger.ok());
  CHECK(absl::IsFailedPrecondition(stranger->Run("DELETE FROM items")));
  // It may read.
  REQUIRE(Commit(*store, Put("a", "1")).ok());
  CHECK(*stranger->Number("SELECT count(*) FROM items") == 1);
  store.reset();
  CHECK(registry.TryOpen().ok());
}

TEST_CASE("SqliteStore: what cannot be a catalogue says why", "[registry][store]") {
  Registry registry;
  SECTION("a folder in its place") {
    fs::create_directory(registry.path);
    CHECK(absl::IsPermissionDenied(registry.TryOpen().status()));
  }
  SECTION("no folder to put it into") {
    registry.path = (registry.folder.path() / "none" / "registry.db").string();
    const auto opened = registry.TryOpen();
    CHECK(absl::IsPermissionDenied(opened.status()));
    CHECK_THAT(std::string(opened.status().message()),
               ContainsSubstring("No such file or directory") && ContainsSubstring("--store"));
  }
  SECTION("no database") {
    registry.folder.Write("registry.db", std::string(5000, 'x'));
    const auto opened = registry.TryOpen();
    CHECK(absl::IsDataLoss(opened.status()));
    CHECK_THAT(std::string(opened.status().message()), ContainsSubstring("restore --force"));
  }
  SECTION("nothing in it") {
    registry.folder.Write("registry.db", "");
    CHECK(absl::IsDataLoss(registry.TryOpen().status()));
  }
  SECTION("only its log is there") {
    registry.folder.Write("registry.db-wal", "x");
    CHECK(absl::IsDataLoss(registry.TryOpen().status()));
  }
  SECTION("another program's") {
    auto other = SqliteConnection::Open(registry.path, true);
    REQUIRE(other->Run("CREATE TABLE items (x)").ok());
    CHECK(absl::IsFailedPrecondition(registry.TryOpen().status()));
  }
  SECTION("a later version's") {
    registry.Open();
    registry.RunSql("PRAGMA user_version = 2");
    const auto opened = registry.TryOpen();
    CHECK(absl::IsFailedPrecondition(opened.status()));
    CHECK_THAT(std::string(opened.status().message()), ContainsSubstring("version 2; expected 1"));
  }
}

TEST_CASE("SqliteStore: values, revisions and rows that changed are found", "[registry][store]") {
  Registry registry;
  REQUIRE(Commit(*registry.Open(), Put("a", "1")).ok());
  SECTION("a value") { registry.RunSql("UPDATE items SET value = X'32'"); }
  SECTION("a revision") { registry.RunSql("UPDATE items SET modified = 7"); }
  SECTION("the catalogue's revision") { registry.RunSql("UPDATE state SET revision = 0"); }
  SECTION("the state") { registry.RunSql("DELETE FROM state"); }
  CHECK(absl::IsDataLoss(registry.TryOpen().status()));
}

TEST_CASE("SqliteStore: a file with a changed byte is refused or reads as before",
          "[registry][store]") {
  Registry registry;
  Texts written;
  {
    const auto store = registry.Open();
    Transaction all;
    for (int i = 0; i < 60; ++i) {
      const std::string key = "models/" + std::to_string(i);
      written[key] = std::string(200, static_cast<char>('a' + i % 26));
      all.writes.push_back({.key = key, .value = Text(written[key])});
    }
    REQUIRE(Commit(*store, all).ok());
  }
  // Else the pages would be read from the log, which has not been reused.
  fs::remove(registry.path + "-wal");
  fs::remove(registry.path + "-shm");
  std::ifstream in(registry.path, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(in), {}};
  in.close();
  std::mt19937 random(GENERATE(range(1U, 11U)));
  for (int i = 0; i < 5; ++i) {
    std::string damaged = whole;
    const size_t at = std::uniform_int_distribution<size_t>(0, whole.size() - 1)(random);
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (random() % 8)));
    registry.folder.Write("registry.db", damaged);
    const auto opened = registry.TryOpen();
    if (!opened.ok()) continue;
    Follower follower(**opened);
    REQUIRE(follower.WaitForRevision(*Latest(**opened)));
    CAPTURE(at);
    CHECK(follower.texts(Space::kCatalogue) == written);
  }
}

TEST_CASE("SqliteStore: a full disk refuses writes and nothing else", "[registry][store]") {
  Registry registry;
  FaultyDisk disk;
  {
    const auto store = registry.Open();
    Follower follower(*store);
    const uint64_t kept = *Commit(*store, Put("a", "1"));
    const LeaseId lease = *Grant(*store, absl::Minutes(1));
    disk.BeFull();
    const auto refused = Commit(*store, PutIf("a", "2", kept));
    CHECK(absl::IsResourceExhausted(refused.status()));
    CHECK_THAT(std::string(refused.status().message()), !ContainsSubstring(registry.path));
    CHECK(absl::IsAborted(Commit(*store, PutIf("a", "2", kept + 1)).status()));
    CHECK(Renew(*store, lease).ok());
    CHECK(Commit(*store, PutLive("w", "1", lease)).ok());
    REQUIRE(follower.WaitForRevision(*Latest(*store)));
    CHECK(follower.texts(Space::kCatalogue) == Texts{{"a", "1"}});

    disk.Work();
    CHECK(*Commit(*store, PutIf("a", "3", kept)) == kept + 1);
    CHECK(Commit(*store, Put("b", "1")).ok());
    REQUIRE(follower.WaitForRevision(*Latest(*store)));
    CHECK(follower.broken() == "");
  }
  CHECK(registry.Catalogue() == Texts{{"a", "3"}, {"b", "1"}});
}

TEST_CASE("SqliteStore: starts on a full disk, and positions do not go back", "[registry][store]") {
  Registry registry;
  FaultyDisk disk;
  REQUIRE(Commit(*registry.Open(), Put("a", "1")).ok());
  registry.RunSql("UPDATE state SET made = made - 1000");
  disk.BeFull();
  const auto store = registry.Open();
  const LeaseId lease = *Grant(*store, absl::Minutes(1));
  CHECK(*Commit(*store, PutLive("w", "1", lease)) > 1000 * RevisionBlocks::kBlock);
  CHECK(absl::IsResourceExhausted(Commit(*store, Put("b", "1")).status()));
  disk.Work();
  CHECK(Commit(*store, Put("b", "1")).ok());
}

TEST_CASE("SqliteStore: a failing sync acknowledges nothing", "[registry][store]") {
  Registry registry;
  FaultyDisk disk;
  const auto store = registry.Open();
  REQUIRE(Commit(*store, Put("a", "1")).ok());
  disk.FailToSync();
  CHECK(absl::IsUnavailable(Commit(*store, Put("a", "2")).status()));
  Follower follower(*store);
  REQUIRE(follower.WaitForRevision(*Latest(*store)));
  CHECK(follower.texts(Space::kCatalogue) == Texts{{"a", "1"}});
  disk.Work();
  CHECK(Commit(*store, Put("a", "3")).ok());
}

TEST_CASE("SqliteStore: what is acknowledged is synced", "[registry][store]") {
  Registry registry;
  FaultyDisk disk;
  const auto store = registry.Open();
  int unsynced = 0;
  for (int i = 0; i < 100; ++i) {
    std::promise<void> answered;
    store->Commit(Put("key" + std::to_string(i), std::string(10000, 'x')),
                  [&](absl::StatusOr<uint64_t> committed) {
                    if (!committed.ok() || disk.unsynced()) ++unsynced;
                    answered.set_value();
                  });
    answered.get_future().wait();
  }
  CHECK(unsynced == 0);
}

TEST_CASE("SqliteStore: a disk that hangs stops no lease; what waits shares a sync",
          "[registry][store]") {
  Registry registry;
  FaultyDisk disk;
  auto store = registry.Open();
  Follower follower(*store);
  disk.Hang();
  std::promise<absl::StatusOr<uint64_t>> first, second, refused, third;
  const auto into = [](auto& promise) {
    return [&promise](absl::StatusOr<uint64_t> answer) { promise.set_value(std::move(answer)); };
  };
  store->Commit(Put("a", "1"), into(first));
  disk.AwaitHanging();
  store->Commit(PutIf("b", "1", 0), into(second));
  store->Commit(PutIf("b", "2", 0), into(refused));
  store->Commit(Put("c", "1"), into(third));

  const LeaseId lease = *Grant(*store, absl::Milliseconds(20));
  CHECK(Renew(*store, lease).ok());
  REQUIRE(Commit(*store, PutLive("w", "1", lease)).ok());
  CHECK(follower.WaitFor([](const Follower& f) { return f.events().size() == 2; }));
  CHECK(follower.texts(Space::kCatalogue).empty());

  disk.Work();
  CHECK(*first.get_future().get() == 1);
  CHECK(*second.get_future().get() == 2);
  CHECK(absl::IsAborted(refused.get_future().get().status()));
  CHECK(*third.get_future().get() == 3);
  CHECK(follower.broken() == "");
}

TEST_CASE("SqliteStore: what waits when it closes is cancelled", "[registry][store]") {
  Registry registry;
  FaultyDisk disk;
  auto store = registry.Open();
  disk.Hang();
  std::promise<absl::StatusOr<uint64_t>> under_way, waiting;
  store->Commit(Put("a", "1"), [&](auto answer) { under_way.set_value(answer); });
  disk.AwaitHanging();
  store->Commit(Put("b", "1"), [&](auto answer) { waiting.set_value(answer); });
  std::thread closing([&] { store.reset(); });
  auto cancelled = waiting.get_future();
  disk.Work();
  closing.join();
  CHECK(under_way.get_future().get().ok());
  const auto answer = cancelled.get();
  CHECK((answer.ok() || absl::IsCancelled(answer.status())));
  CHECK(registry.Catalogue().contains("b") == answer.ok());
}

TEST_CASE("SqliteStore: too many changes for a disk that hangs are refused", "[registry][store]") {
  Registry registry;
  FaultyDisk disk;
  auto store = registry.Open();
  disk.Hang();
  std::atomic<int> refused = 0;
  std::latch done(4097);
  const auto count = [&](absl::StatusOr<uint64_t> answer) {
    if (answer.ok()) done.count_down();
    if (absl::IsUnavailable(answer.status())) ++refused;
  };
  store->Commit(Put("a", "1"), count);
  disk.AwaitHanging();
  for (int i = 0; i < 5000; ++i) store->Commit(Put("a", "1"), count);
  CHECK(refused == 5000 - 4096);
  disk.Work();
  done.wait();
  CHECK(Commit(*store, Put("b", "1")).ok());
}

}  // namespace
}  // namespace torchfleet::registry
