#include "cli/up/repository_watch.h"

#include <catch2/catch_test_macros.hpp>
#include <filesystem>

#include "tests/fakes/temporary_folder.h"

namespace torchfleet::cli {
namespace {

using Changes = std::vector<RepositoryWatch::Change>;

void Remove(const TemporaryFolder& folder, const std::string& path) {
  std::filesystem::remove_all(folder.path() / path);
}

TEST_CASE("RepositoryWatch: tells of a change once, when two looks find the same", "[cli][up]") {
  const TemporaryFolder folder;
  folder.Write("a/config.pbtxt", "");
  folder.Write("a/1/model.pt", "");
  folder.Write("b/config.pbtxt", "");
  RepositoryWatch watch(folder.path());
  CHECK(watch.Look().value().empty());
  CHECK(watch.Look().value() == Changes{{"a"}, {"b"}});
  CHECK(watch.Look().value().empty());
  Changes expected;
  SECTION("a new version that is still being written") {
    folder.Write("a/2/model.pt", "half");
    CHECK(watch.Look().value().empty());
    folder.Write("a/2/model.pt", "half of it and the rest");
    expected = {{"a"}};
  }
  SECTION("another configuration") {
    folder.Write("b/config.pbtxt", "max_batch_size: 1");
    expected = {{"b"}};
  }
  SECTION("a file deep in a version") {
    folder.Write("a/1/extra/words.txt", "abc");
    expected = {{"a"}};
  }
  SECTION("a version that is gone") {
    Remove(folder, "a/1");
    expected = {{"a"}};
  }
  SECTION("a new model, and one that is gone") {
    folder.Write("c/config.pbtxt", "");
    Remove(folder, "b");
    expected = {{"b", true}, {"c"}};
  }
  SECTION("what is no version") {
    folder.Write("a/.publish-1/model.pt", "abc");
    folder.Write("a/notes.txt", "abc");
  }
  CHECK(watch.Look().value().empty());
  CHECK(watch.Look().value() == expected);
  CHECK(watch.Look().value().empty());
}

TEST_CASE("RepositoryWatch: what is back as it was has not changed", "[cli][up]") {
  const TemporaryFolder folder;
  folder.Write("a/config.pbtxt", "");
  folder.Write("b/config.pbtxt", "");
  RepositoryWatch watch(folder.path());
  CHECK(watch.Look().ok());
  CHECK(watch.Look().value() == Changes{{"a"}, {"b"}});
  std::filesystem::rename(folder.path() / "b", folder.path() / ".away");
  CHECK(watch.Look().value().empty());
  std::filesystem::rename(folder.path() / ".away", folder.path() / "b");
  CHECK(watch.Look().value().empty());
  CHECK(watch.Look().value().empty());
}

TEST_CASE("RepositoryWatch: an empty repository is one that is away", "[cli][up]") {
  const TemporaryFolder folder;
  folder.Write("a/config.pbtxt", "");
  RepositoryWatch watch(folder.path());
  CHECK(watch.Look().ok());
  CHECK(watch.Look().value() == Changes{{"a"}});
  std::filesystem::rename(folder.path() / "a", folder.path() / ".away");
  for (int i = 0; i < 3; ++i) CHECK(absl::IsNotFound(watch.Look().status()));
  std::filesystem::rename(folder.path() / ".away", folder.path() / "a");
  for (int i = 0; i < 3; ++i) CHECK(watch.Look().value().empty());
}

}  // namespace
}  // namespace torchfleet::cli
