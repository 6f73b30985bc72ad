#include "repository/file_digest.h"

#include <catch2/catch_test_macros.hpp>

#include "tests/fakes/temporary_folder.h"

namespace torchfleet::repository {
namespace {

TEST_CASE("FileDigest: SHA-256", "[repository]") {
  const TemporaryFolder folder;
  folder.Write("abc", "abc");
  CHECK(*FileDigest(folder.path() / "abc") ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");  // FIPS 180-2, B.1
  CHECK(absl::IsNotFound(FileDigest(folder.path() / "none").status()));
}

}  // namespace
}  // namespace torchfleet::repository
