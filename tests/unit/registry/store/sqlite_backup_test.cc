#include "registry/store/sqlite_backup.h"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <thread>

#include "registry/store/sqlite_store.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/unit/registry/store/store_calls.h"

namespace torchfleet::registry {
namespace {

namespace fs = std::filesystem;

const MonotonicClock kClock;

std::unique_ptr<SqliteStore> Open(const std::string& path) {
  auto opened = SqliteStore::Open(path, kClock);
  REQUIRE(opened.status() == absl::OkStatus());
  return *std::move(opened);
}

Texts Catalogue(Store& store) {
  Follower follower(store);
  REQUIRE(follower.WaitForRevision(*Latest(store)));
  return follower.texts(Space::kCatalogue);
}

struct Files {
  TemporaryFolder folder;
  std::string path = (folder.path() / "registry.db").string();
  std::string backup = (folder.path() / "it's a backup").string();
};

TEST_CASE("Backup: comes back as it was, and no revision comes twice", "[registry][store]") {
  Files files;
  auto store = Open(files.path);
  REQUIRE(Commit(*store, Put("a", "1")).ok());
  REQUIRE(BackUpSqlite(files.path, files.backup) == absl::OkStatus());
  CHECK(absl::IsAlreadyExists(BackUpSqlite(files.path, files.backup)));
  const uint64_t later = *Commit(*store, Put("a", "2"));
  const uint64_t position = *Latest(*store);

  CHECK(absl::IsAlreadyExists(RestoreSqlite(files.backup, files.path, false)));
  CHECK(absl::IsFailedPrecondition(RestoreSqlite(files.backup, files.path, true)));
  CHECK(Catalogue(*store) == Texts{{"a", "2"}});
  store.reset();
  REQUIRE(RestoreSqlite(files.backup, files.path, true) == absl::OkStatus());
  store = Open(files.path);
  CHECK(Catalogue(*store) == Texts{{"a", "1"}});
  CHECK(*Latest(*store) > position);
  CHECK(*Commit(*store, Put("a", "3")) > later);
  // What was there is kept.
  CHECK(Catalogue(*Open(files.path + ".before-restore")) == Texts{{"a", "2"}});
}

TEST_CASE("Backup: is one moment's, while a registry writes", "[registry][store]") {
  Files files;
  const auto store = Open(files.path);
  std::atomic<bool> stop = false;
  std::jthread writer([&] {
    for (int i = 0; !stop; ++i) {
      Transaction both = Put("a", std::to_string(i));
      both.writes.push_back({.key = "b", .value = Text(std::to_string(i))});
      (void)Commit(*store, both);
    }
  });
  REQUIRE(Commit(*store, Put("c", "")).ok());
  for (int i = 0; i < 5; ++i) {
    const std::string copy = files.backup + std::to_string(i);
    REQUIRE(BackUpSqlite(files.path, copy) == absl::OkStatus());
    Texts texts = Catalogue(*Open(copy));
    CHECK(texts["a"] == texts["b"]);
    CHECK(texts.contains("c"));
  }
  stop = true;
}

TEST_CASE("Restore: takes a damaged catalogue's place, and no damaged backup",
          "[registry][store]") {
  Files files;
  REQUIRE(Commit(*Open(files.path), Put("a", "1")).ok());
  REQUIRE(BackUpSqlite(files.path, files.backup) == absl::OkStatus());
  files.folder.Write("damaged", std::string(5000, 'x'));
  const std::string damaged = (files.folder.path() / "damaged").string();
  CHECK(absl::IsDataLoss(RestoreSqlite(damaged, files.path, true)));
  CHECK(Catalogue(*Open(files.path)) == Texts{{"a", "1"}});

  CHECK(absl::IsDataLoss(BackUpSqlite(damaged, files.backup + "2")));
  CHECK_FALSE(fs::exists(files.backup + "2"));
  CHECK(RestoreSqlite(files.backup, damaged, true) == absl::OkStatus());
  CHECK(Catalogue(*Open(damaged)) == Texts{{"a", "1"}});
  // Nothing half made stays behind: two catalogues and their logs, the backup,
  // and what was damaged.
  const auto count = std::distance(fs::directory_iterator(files.folder.path()), {});
  CHECK(count == 8);
}

TEST_CASE("Restore: a log that lost its file is not replayed", "[registry][store]") {
  Files files;
  {
    const auto store = Open(files.path);
    REQUIRE(Commit(*store, Put("a", "1")).ok());
    REQUIRE(BackUpSqlite(files.path, files.backup) == absl::OkStatus());
    REQUIRE(Commit(*store, Put("a", "2")).ok());
  }
  fs::remove(files.path);
  REQUIRE(RestoreSqlite(files.backup, files.path, false) == absl::OkStatus());
  CHECK(Catalogue(*Open(files.path)) == Texts{{"a", "1"}});
}

}  // namespace
}  // namespace torchfleet::registry
