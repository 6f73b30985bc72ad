#include "model-worker/load/model_file.h"

#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "model-worker/load/model_digest.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/unit/model-worker/archive_builder.h"

namespace torchfleet::worker {
namespace {

using Catch::Matchers::ContainsSubstring;

// The standard's own examples (FIPS 180-2).
constexpr char kAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr char kNothing[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr char kMillion[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

TEST_CASE("Sha256: the standard's examples", "[worker][load]") {
  CHECK(Sha256(MemoryBytes("")).value() == kNothing);
  CHECK(Sha256(MemoryBytes("abc")).value() == kAbc);
  const std::string million(1'000'000, 'a');
  CHECK(Sha256(MemoryBytes(million)).value() == kMillion);
}

TEST_CASE("CheckDigest: only a pin that is the file's own lets it through", "[worker][load]") {
  const MemoryBytes file("abc");
  ModelSpec spec;
  CHECK(CheckDigest(file, spec).ok());
  spec.parameters["MODEL_SHA256"] = kAbc;
  CHECK(CheckDigest(file, spec).ok());
  spec.parameters["MODEL_SHA256"] =
      "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
  CHECK(CheckDigest(file, spec).ok());
  const std::string other = kNothing;
  for (const std::string& pin : {other, std::string(), other.substr(1), other + "0",
                                 "sha256:" + other.substr(7), std::string(64, 'g')}) {
    spec.parameters["MODEL_SHA256"] = pin;
    const absl::Status status = CheckDigest(file, spec);
    CHECK(absl::IsFailedPrecondition(status));
    CHECK_THAT(std::string(status.message()), ContainsSubstring(kAbc) && ContainsSubstring(pin));
  }
}

TEST_CASE("ModelFile: reads what it opened, whatever has its name by now", "[worker][load]") {
  const TemporaryFolder folder;
  folder.Write("model.pt", "first");
  const auto file = ModelFile::Open(folder.path() / "model.pt");
  REQUIRE(file.ok());
  folder.Write("other", "another");
  std::filesystem::rename(folder.path() / "other", folder.path() / "model.pt");
  std::string bytes(3, '\0');
  CHECK(file->size() == 5);
  CHECK(file->Read(2, 3, bytes.data()).ok());
  CHECK(bytes == "rst");
  CHECK(absl::IsFailedPrecondition(file->Read(3, 3, bytes.data())));
  CHECK(file->CheckUnchanged().ok());
  std::ifstream again(file->OpenedPath());
  std::string content;
  again >> content;
  CHECK(content == "first");
}

TEST_CASE("ModelFile: says when it was written to", "[worker][load]") {
  const TemporaryFolder folder;
  folder.Write("model.pt", "first");
  const auto file = ModelFile::Open(folder.path() / "model.pt");
  REQUIRE(file.ok());
  std::filesystem::resize_file(folder.path() / "model.pt", 2);
  CHECK(absl::IsFailedPrecondition(file->CheckUnchanged()));
  std::string bytes(5, '\0');
  CHECK(absl::IsFailedPrecondition(file->Read(0, 5, bytes.data())));
}

TEST_CASE("ModelFile: only a file is opened", "[worker][load]") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "folder");
  REQUIRE(mkfifo((folder.path() / "pipe").c_str(), 0600) == 0);
  for (const auto& [name, says] : {std::pair("missing", "No such file"),
                                   {"folder", "is a folder"},
                                   {"pipe", "pipe; expected a file"}}) {
    const absl::Status status = ModelFile::Open(folder.path() / name).status();
    CHECK(absl::IsFailedPrecondition(status));
    CHECK_THAT(std::string(status.message()), ContainsSubstring(name) && ContainsSubstring(says));
  }
}

}  // namespace
}  // namespace torchfleet::worker
