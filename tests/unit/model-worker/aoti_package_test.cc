#include "model-worker/load/aoti_package.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "model-worker/load/unpacked_folder.h"
#include "tests/unit/model-worker/archive_builder.h"

namespace torchfleet::worker {
namespace {

using Catch::Matchers::ContainsSubstring;

constexpr char kHere[] =
    R"({"AOTI_DEVICE_KEY": "cpu", "AOTI_PLATFORM": "linux", "AOTI_MACHINE": "x86_64",
        "AOTI_CPU_ISA": "AVX2", "AOTI_COMPUTE_CAPABILITY": ""})";

std::vector<PlannedEntry> Entries(const std::string& folder, const std::string& metadata) {
  return {{folder + "a.wrapper.cpp", "source"},
          {folder + "a.wrapper.so", "library"},
          {folder + "a.wrapper_metadata.json", metadata},
          {"m/archive_version", "0"}};
}

absl::StatusOr<AotiPackage> Read(const std::vector<PlannedEntry>& entries) {
  const std::string archive = BuildArchive({entries});
  const MemoryBytes bytes(archive);
  const auto directory = ReadArchiveDirectory(bytes);
  REQUIRE(directory.ok());
  return ReadAotiPackage(bytes, *directory);
}

constexpr char kFolder[] = "m/data/aotinductor/model/";

TEST_CASE("AotiPackage: the library, what it reads, and what it was made for", "[worker][load]") {
  std::vector<PlannedEntry> entries = Entries(kFolder, kHere);
  entries.push_back({"m/data/constants/tensor_0", "c"});
  entries.push_back({"m/data/aotinductor/model/a.blob", "w"});
  entries.push_back({"m/data/aotinductor/model/deeper/b.so", "x"});
  entries.push_back({"m/data/aotinductor/other/c.so", "x"});
  const auto package = Read(entries);
  REQUIRE(package.ok());
  CHECK(package->library == "a.wrapper.so");
  CHECK(package->weights_blob == "a.blob");
  std::vector<std::string> names;
  for (const PackageFile& file : package->files) names.push_back(file.name);
  CHECK(names ==
        std::vector<std::string>{"a.wrapper.so", "a.wrapper_metadata.json", "tensor_0", "a.blob"});
  CHECK(package->metadata.at("AOTI_CPU_ISA") == "AVX2");
  // Without a root, as older torch wrote; and a model of another name.
  CHECK(Read(Entries("data/aotinductor/model/", kHere)).ok());
  CHECK(Read(Entries("m/data/aotinductor/mine/", kHere)).ok());
}

TEST_CASE("AotiPackage: what is none is refused", "[worker][load]") {
  const auto refused = [](std::vector<PlannedEntry> entries, const char* says) {
    const absl::Status status = Read(entries).status();
    CHECK(absl::IsFailedPrecondition(status));
    CHECK_THAT(std::string(status.message()), ContainsSubstring(says));
  };
  refused({{"m/data.pkl", "x"}, {"m/version", "3"}}, "no AOTInductor model");
  auto entries = Entries(kFolder, kHere);
  entries[1].name = "m/data/aotinductor/model/a.wrapper.o";
  refused(entries, "no compiled library");
  entries = Entries(kFolder, kHere);
  entries.push_back({"m/data/aotinductor/model/b.wrapper.so", "x"});
  refused(entries, "both 'a.wrapper.so' and 'b.wrapper.so'");
  entries = Entries(kFolder, kHere);
  entries.push_back({"m/data/constants/a.wrapper.so", "x"});
  refused(entries, "two files are 'a.wrapper.so'");
  entries = Entries("m/data/aotinductor/one/", kHere);
  entries.push_back({"m/data/aotinductor/two/a.so", "x"});
  refused(entries, "2 AOTInductor models");
  entries = Entries(kFolder, kHere);
  entries[2].name = "m/data/aotinductor/model/other.json";
  refused(entries, "does not say what it was compiled for");
  refused(Entries(kFolder, "[1]"), "no JSON object");
  refused(Entries(kFolder, "{"), "no JSON object");
  refused(Entries(kFolder, std::string(70'000, ' ')), "expected at most 65536");
  entries = Entries(kFolder, kHere);
  entries[3].content = "1";
  refused(entries, "version '1', made by another torch");
}

TEST_CASE("CheckMachine: only what was compiled for this one", "[worker][load]") {
  const Machine machine = {"linux", "x86_64", {"avx2", "fma", "f16c", "avx512f"}};
  const auto check = [&](const char* key, const std::string& value) {
    AotiPackage package;
    package.metadata = {{"AOTI_DEVICE_KEY", "cpu"},
                        {"AOTI_PLATFORM", "linux"},
                        {"AOTI_MACHINE", "x86_64"},
                        {"AOTI_CPU_ISA", "AVX2"}};
    package.metadata[key] = value;
    const absl::Status status = CheckMachine(package, machine);
    CHECK((status.ok() || absl::IsFailedPrecondition(status)));
    return std::string(status.message());
  };
  CHECK(check("AOTI_CPU_ISA", "AVX2") == "");
  CHECK(check("AOTI_CPU_ISA", "INVALID_VEC_ISA") == "");
  CHECK(check("AOTI_CPU_ISA", "") == "");
  CHECK_THAT(check("AOTI_CPU_ISA", "AVX512"),
             ContainsSubstring("with AVX512") && ContainsSubstring("no avx512dq"));
  CHECK_THAT(check("AOTI_CPU_ISA", "AVX2 AMX_TILE"), ContainsSubstring("no amx_tile"));
  CHECK_THAT(check("AOTI_CPU_ISA", "ASIMD"), ContainsSubstring("no asimd"));
  CHECK_THAT(check("AOTI_DEVICE_KEY", "cuda"), ContainsSubstring("device 'cuda'"));
  CHECK_THAT(check("AOTI_DEVICE_KEY", ""), ContainsSubstring("device ''"));
  CHECK_THAT(check("AOTI_PLATFORM", "win32"), ContainsSubstring("'win32'"));
  CHECK_THAT(check("AOTI_MACHINE", "aarch64"),
             ContainsSubstring("'aarch64'") && ContainsSubstring("'x86_64'"));
}

TEST_CASE("ThisMachine: says what it is", "[worker][load]") {
  const Machine machine = ThisMachine();
  CHECK(machine.platform == "linux");
  CHECK(!machine.architecture.empty());
  CHECK(!machine.cpu_features.empty());
}

TEST_CASE("UnpackedFolder: holds what was unpacked, and is gone afterwards", "[worker][load]") {
  const std::string archive = BuildArchive({{{"m/a", std::string(600'000, 'a'), true}}});
  const MemoryBytes bytes(archive);
  const auto entries = ReadArchiveDirectory(bytes);
  std::filesystem::path path;
  {
    auto folder = UnpackedFolder::Make();
    REQUIRE(folder.ok());
    path = folder->path();
    CHECK(folder->Add(bytes, entries->at(0), "a").ok());
    CHECK(std::filesystem::file_size(path / "a") == 600'000);
    CHECK(absl::IsResourceExhausted(folder->Add(bytes, entries->at(0), "missing/a")));
  }
  CHECK(!std::filesystem::exists(path));
}

}  // namespace
}  // namespace torchfleet::worker
