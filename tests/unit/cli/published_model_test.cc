#include "cli/up/published_model.h"

#include <catch2/catch_test_macros.hpp>

#include "tests/fakes/temporary_folder.h"

namespace torchfleet::cli {
namespace {

constexpr char kAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
// Later than any file of a test was written.
constexpr int64_t kLater = 1'000'000'000'000;

TEST_CASE("FoundModel: versions, files, sizes and digests", "[cli][up]") {
  const TemporaryFolder folder;
  folder.Write("m/1/model.pt", "abc");
  folder.Write("m/3/extra/words.txt", "abc");
  folder.Write("m/3/model.pt", "abc");
  const auto model = FoundModel(folder.path(), "m", {1, 3}, {});
  REQUIRE(model.ok());
  REQUIRE(model->versions_size() == 2);
  CHECK(model->versions(1).version() == "3");
  REQUIRE(model->versions(1).files_size() == 2);
  CHECK(model->versions(1).files(0).path() == "extra/words.txt");
  CHECK(model->versions(1).files(1).sha256() == kAbc);
  CHECK(model->versions(1).files(1).size() == 3);
  CHECK(absl::IsNotFound(FoundModel(folder.path(), "m", {2}, {}).status()));
}

TEST_CASE("FoundModel: a file that is as it was is not read again", "[cli][up]") {
  const TemporaryFolder folder;
  folder.Write("m/1/model.pt", "abc");
  auto known = *FoundModel(folder.path(), "m", {1}, {});
  known.mutable_versions(0)->mutable_files(0)->set_sha256("what was said");
  known.mutable_updated_at()->set_seconds(kLater);
  CHECK(FoundModel(folder.path(), "m", {1}, known)->versions(0).files(0).sha256() ==
        "what was said");
  SECTION("another size") { known.mutable_versions(0)->mutable_files(0)->set_size(4); }
  SECTION("written later") { known.mutable_updated_at()->set_seconds(1); }
  CHECK(FoundModel(folder.path(), "m", {1}, known)->versions(0).files(0).sha256() == kAbc);
}

TEST_CASE("BroughtUpToDate: what owners wrote stays, what is gone goes", "[cli][up]") {
  registry::v1::Model known;
  known.set_name("m");
  known.set_revision(7);
  (*known.mutable_labels())["team"] = "vision";
  known.mutable_placement()->set_replicas(4);
  for (const char* number : {"1", "2"}) {
    auto& version = *known.add_versions();
    version.set_version(number);
    (*version.mutable_labels())["data"] = number;
  }
  (*known.mutable_aliases())["old"] = "1";
  (*known.mutable_aliases())["prod"] = "2";
  registry::v1::Model found;
  found.set_name("m");
  for (const char* number : {"2", "3"}) found.add_versions()->set_version(number);

  const auto updated = BroughtUpToDate(known, found, 0);
  REQUIRE(updated);
  CHECK(updated->revision() == 7);
  CHECK(updated->labels().at("team") == "vision");
  CHECK(updated->placement().replicas() == 4);
  REQUIRE(updated->versions_size() == 2);
  CHECK(updated->versions(0).labels().at("data") == "2");
  CHECK(updated->versions(1).version() == "3");
  CHECK(updated->aliases().size() == 1);
  CHECK(updated->aliases().at("prod") == "2");
  CHECK_FALSE(BroughtUpToDate(*updated, found, 0));
  CHECK(BroughtUpToDate(*updated, found, 2)->placement().replicas() == 2);
  CHECK_FALSE(BroughtUpToDate(*updated, found, 4));
}

}  // namespace
}  // namespace torchfleet::cli
