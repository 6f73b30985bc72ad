#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <functional>
#include <random>

#include "model-worker/load/archive_contents.h"
#include "model-worker/load/archive_directory.h"
#include "tests/unit/model-worker/archive_builder.h"

namespace torchfleet::worker {
namespace {

using Catch::Matchers::ContainsSubstring;

// Where fields are in the records.
constexpr size_t kLocalFlags = 6, kLocalPacked = 18, kLocalSize = 22, kLocalName = 26;
constexpr size_t kFlags = 8, kMethod = 10, kCrc = 16, kPacked = 20, kSize = 24, kName = 28,
                 kDisk = 34, kOffset = 42;

const ArchivePlan kModel = {{{"m/data/0", std::string(300, 'w')},
                             {"m/code/a.py", std::string(5000, 'c'), true},
                             {"m/version", "3\n"}}};

absl::Status Check(const std::string& archive) {
  const MemoryBytes bytes(archive);
  const auto entries = ReadArchiveDirectory(bytes);
  return entries.ok() ? CheckArchiveContents(bytes, *entries) : entries.status();
}

void CheckRefused(const std::string& archive, const char* says) {
  const absl::Status status = Check(archive);
  CHECK(absl::IsFailedPrecondition(status));
  CHECK_THAT(std::string(status.message()), ContainsSubstring(says));
}

// What a plan holds comes back.
void CheckRead(const ArchivePlan& plan) {
  const std::string archive = BuildArchive(plan);
  REQUIRE(Check(archive).message() == "");
  const MemoryBytes bytes(archive);
  const auto entries = ReadArchiveDirectory(bytes);
  REQUIRE(entries->size() == plan.entries.size());
  for (size_t i = 0; i < plan.entries.size(); ++i) {
    CHECK(entries->at(i).name == plan.entries[i].name);
    CHECK(ReadArchiveEntry(bytes, entries->at(i), 1 << 20).value() == plan.entries[i].content);
  }
}

ArchivePlan Named(const std::string& name) { return {{{"m/version", "3"}, {name, "x"}}}; }

// Places of the records of the entry of index `i`.
size_t Find(const std::string& archive, const char* mark, int i) {
  size_t found = archive.find(mark);
  for (; i > 0; --i) found = archive.find(mark, found + 1);
  return found;
}
size_t InLocal(const std::string& archive, int i, size_t field) {
  return Find(archive, "PK\3\4", i) + field;
}
size_t InDirectory(const std::string& archive, int i, size_t field) {
  return Find(archive, "PK\1\2", i) + field;
}
size_t InEnd(const std::string& archive, size_t field) { return archive.rfind("PK\5\6") + field; }
size_t InEnd64(const std::string& archive, size_t field) { return archive.rfind("PK\6\6") + field; }
size_t InLocator(const std::string& archive, size_t field) {
  return archive.rfind("PK\6\7") + field;
}

TEST_CASE("Archive: what is whole comes back, however it is written", "[worker][load]") {
  CheckRead(kModel);
  for (const bool large : {false, true}) {
    for (const bool sizes_follow : {false, true}) {
      ArchivePlan plan = kModel;
      plan.large = large;
      plan.comment = std::string(large ? 65535 : 5, 'c');
      for (PlannedEntry& entry : plan.entries) {
        entry.large = large;
        entry.sizes_follow = sizes_follow;
        entry.extra = std::string("FB\3\0ZZZ", 7);  // torch's padding
      }
      CheckRead(plan);
    }
  }
  CheckRead({{{"folder/", ""}, {"folder/empty", ""}, {"folder/packed", "", true}}});
  CheckRead(Named("m/ü"));
  CheckRead(Named(std::string(kMaxArchiveName, 'n')));
  // Larger than a piece.
  CheckRead({{{"a", std::string(700'000, 'a')}, {"b", std::string(700'000, 'b'), true}}});
}

TEST_CASE("Archive: names that lead elsewhere are refused", "[worker][load]") {
  const std::pair<std::string, const char*> names[] = {
      {"../x", "'..'"},
      {"m/../../x", "'..'"},
      {"..", "'..'"},
      {"m/..", "'..'"},
      {"m/../", "'..'"},
      {"/etc/passwd", "absolute"},
      {"m\\..\\x", "backslash"},
      {std::string("m/version\0x", 11), "NUL"},
      {"m/\n", "control"},
      {"m//x", "empty part"},
      {"./x", "'.'"},
      {"", "no name"},
      {std::string(kMaxArchiveName + 1, 'n'), "512 bytes"},
      {std::string(10'000, 'n'), "10000 bytes"},
      {"m/version", "twice"},
  };
  for (const auto& [name, says] : names) CheckRefused(BuildArchive(Named(name)), says);
  // '..' in a name is no way out.
  CheckRead(Named("m/a..b/..c/d.."));
}

struct Wrong {
  const char* says;
  std::function<void(std::string&)> edit;
};

TEST_CASE("Archive: records that do not agree are refused", "[worker][load]") {
  const Wrong cases[] = {
      {"no ZIP archive", [](auto& a) { a.clear(); }},
      {"no ZIP archive", [](auto& a) { a = "this is no model"; }},
      {"no ZIP archive", [](auto& a) { a.resize(a.size() - 1); }},
      {"no ZIP archive", [](auto& a) { a.resize(a.size() / 2); }},
      {"expected it to end at", [](auto& a) { a.erase(0, 10); }},
      {"expected it to end at", [](auto& a) { a.insert(0, "#!/bin/sh\n"); }},
      {"something was added", [](auto& a) { a += "x"; }},
      // A comment that is itself an end.
      {"expected it to end at",
       [](auto& a) {
         const std::string end = a.substr(InEnd(a, 0));
         Put<uint16_t>(a, InEnd(a, 20), 22);
         a += end;
       }},
      {"several files", [](auto& a) { Put<uint16_t>(a, InEnd(a, 4), 1); }},
      {"several files", [](auto& a) { Put<uint16_t>(a, InEnd(a, 8), 2); }},
      {"empty", [](auto& a) { a = a.substr(InEnd(a, 0)), a.replace(4, 16, 16, '\0'); }},
      {"no entry where one must be",
       [](auto& a) {
         Put<uint16_t>(a, InEnd(a, 8), 4);
         Put<uint16_t>(a, InEnd(a, 10), 4);
       }},
      {"behind its 2 entries",
       [](auto& a) {
         Put<uint16_t>(a, InEnd(a, 8), 2);
         Put<uint16_t>(a, InEnd(a, 10), 2);
       }},
      {"expected it to end at", [](auto& a) { Put<uint32_t>(a, InEnd(a, 12), 1 << 30); }},
      {"expected it to end at", [](auto& a) { Put<uint32_t>(a, InEnd(a, 16), 0xFFFFFFFF); }},
      {"no entry where one must be", [](auto& a) { a[InDirectory(a, 0, 2)] = 'x'; }},
      {"ends within an entry", [](auto& a) { Put<uint16_t>(a, InDirectory(a, 2, kName), 60000); }},
      {"in another file", [](auto& a) { Put<uint16_t>(a, InDirectory(a, 1, kDisk), 1); }},
      {"is encrypted", [](auto& a) { Put<uint16_t>(a, InDirectory(a, 1, kFlags), 0x801); }},
      {"is encrypted", [](auto& a) { Put<uint16_t>(a, InDirectory(a, 1, kFlags), 0x2800); }},
      {"expected the same", [](auto& a) { Put<uint16_t>(a, InLocal(a, 1, kLocalFlags), 0x801); }},
      {"by method 12", [](auto& a) { Put<uint16_t>(a, InDirectory(a, 1, kMethod), 12); }},
      {"is stored, but", [](auto& a) { Put<uint32_t>(a, InDirectory(a, 0, kSize), 301); }},
      {"is stored, but", [](auto& a) { Put<uint32_t>(a, InDirectory(a, 0, kPacked), 299); }},
      {"expected the same", [](auto& a) { Put<uint32_t>(a, InLocal(a, 0, kLocalSize), 301); }},
      {"expected the same", [](auto& a) { Put<uint32_t>(a, InLocal(a, 0, kLocalSize), 0); }},
      {"expected the same", [](auto& a) { Put<uint32_t>(a, InLocal(a, 1, kLocalPacked), 7); }},
      {"expected the same", [](auto& a) { Put<uint32_t>(a, InDirectory(a, 0, kCrc), 7); }},
      {"ZIP64 field", [](auto& a) { Put<uint32_t>(a, InDirectory(a, 1, kSize), 0xFFFFFFFF); }},
      {"ZIP64 field", [](auto& a) { Put<uint32_t>(a, InLocal(a, 1, kLocalSize), 0xFFFFFFFF); }},
      {"before the directory",
       [](auto& a) { Put<uint32_t>(a, InDirectory(a, 0, kOffset), 1u << 31); }},
      {"no header at", [](auto& a) { Put<uint32_t>(a, InDirectory(a, 0, kOffset), 1); }},
      {"another name",
       [](auto& a) { Put<uint32_t>(a, InDirectory(a, 0, kOffset), InLocal(a, 1, 0)); }},
      {"another name", [](auto& a) { a[InLocal(a, 0, 30)] = 'M'; }},
      {"another name", [](auto& a) { Put<uint16_t>(a, InLocal(a, 0, kLocalName), 7); }},
      {"before the directory", [](auto& a) { Put<uint16_t>(a, InLocal(a, 2, 28), 60000); }},
      {"overlap", [](auto& a) { Put<uint16_t>(a, InLocal(a, 0, 28), 1); }},
  };
  for (const Wrong& wrong : cases) {
    std::string archive = BuildArchive(kModel);
    wrong.edit(archive);
    INFO(wrong.says);
    CheckRefused(archive, wrong.says);
  }
}

TEST_CASE("Archive: ZIP64 records that do not agree are refused", "[worker][load]") {
  const Wrong cases[] = {
      {"right before its locator", [](auto& a) { Put<uint64_t>(a, InLocator(a, 8), ~0ull); }},
      {"right before its locator", [](auto& a) { Put<uint64_t>(a, InLocator(a, 8), 0); }},
      {"several files", [](auto& a) { Put<uint32_t>(a, InLocator(a, 16), 2); }},
      {"several files", [](auto& a) { Put<uint32_t>(a, InEnd64(a, 16), 1); }},
      {"several files", [](auto& a) { Put<uint64_t>(a, InEnd64(a, 24), 2); }},
      {"no ZIP64 record", [](auto& a) { a[InEnd64(a, 3)] = 'x'; }},
      {"no ZIP64 record", [](auto& a) { Put<uint64_t>(a, InEnd64(a, 4), 45); }},
      {"expected it to end", [](auto& a) { a[InLocator(a, 3)] = 'x'; }},
      {"expected it to end", [](auto& a) { Put<uint64_t>(a, InEnd64(a, 40), ~0ull); }},
      {"expected it to end", [](auto& a) { Put<uint64_t>(a, InEnd64(a, 48), ~0ull - 5); }},
      {"100001 entries",
       [](auto& a) {
         Put<uint64_t>(a, InEnd64(a, 24), 100'001);
         Put<uint64_t>(a, InEnd64(a, 32), 100'001);
       }},
      {"says entries 2", [](auto& a) { Put<uint16_t>(a, InEnd(a, 10), 2); }},
      {"bytes of directory 2", [](auto& a) { Put<uint32_t>(a, InEnd(a, 12), 2); }},
      {"its offset 2", [](auto& a) { Put<uint32_t>(a, InEnd(a, 16), 2); }},
      // The field of the entry's own sizes, in the directory and before the entry.
      {"ZIP64 field", [](auto& a) { Put<uint16_t>(a, InDirectory(a, 1, 46 + 11 + 2), 16); }},
      {"ZIP64 field", [](auto& a) { Put<uint16_t>(a, InDirectory(a, 1, 46 + 11), 2); }},
      {"longer than they can be",
       [](auto& a) { Put<uint16_t>(a, InLocal(a, 1, 30 + 11 + 2), 99); }},
      {"expected the same", [](auto& a) { Put<uint64_t>(a, InLocal(a, 1, 30 + 11 + 4), 4999); }},
      {"unpacks to", [](auto& a) { Put<uint64_t>(a, InDirectory(a, 1, 46 + 11 + 4), ~0ull); }},
      {"before the directory",
       [](auto& a) { Put<uint64_t>(a, InDirectory(a, 1, 46 + 11 + 12), ~0ull); }},
      {"before the directory",
       [](auto& a) { Put<uint64_t>(a, InDirectory(a, 1, 46 + 11 + 20), ~0ull); }},
  };
  for (const Wrong& wrong : cases) {
    ArchivePlan plan = kModel;
    plan.large = true;
    plan.entries[1].large = true;
    std::string archive = BuildArchive(plan);
    REQUIRE(Check(archive).ok());
    wrong.edit(archive);
    INFO(wrong.says);
    CheckRefused(archive, wrong.says);
  }
}

TEST_CASE("Archive: one that unpacks to too much is refused", "[worker][load]") {
  CHECK(MaxUnpacked(1000) == 1000 + (256 << 20));
  CHECK(MaxUnpacked(6ull << 30) == 24ull << 30);
  // Many entries, each within the limit, that say they unpack to 6.4 GB.
  ArchivePlan plan;
  for (int i = 0; i < 64; ++i) plan.entries.push_back({std::to_string(i), "x", true});
  std::string archive = BuildArchive(plan);
  for (int i = 0; i < 64; ++i) {
    Put<uint32_t>(archive, InDirectory(archive, i, kSize), 100'000'000);
    Put<uint32_t>(archive, InLocal(archive, i, kLocalSize), 100'000'000);
  }
  CheckRefused(archive, "unpacks to 100000000 bytes, after 200000000");
  // The same bytes as several entries, which a count of sizes would let through.
  archive = BuildArchive(kModel);
  const std::string first = archive.substr(InDirectory(archive, 0, 0), 46 + 8);
  std::string twice = archive;
  twice.insert(InDirectory(archive, 1, 0), first);
  Put<uint16_t>(twice, InEnd(twice, 8), 4);
  Put<uint16_t>(twice, InEnd(twice, 10), 4);
  Put<uint32_t>(twice, InEnd(twice, 12),
                static_cast<uint32_t>(InEnd(twice, 0) - InDirectory(twice, 0, 0)));
  CheckRefused(twice, "twice");
}

TEST_CASE("Archive: entries that are not what the directory says are damaged", "[worker][load]") {
  const std::string whole = BuildArchive(kModel);
  const auto damaged = [&](const char* says, const std::function<void(std::string&)>& edit) {
    std::string archive = whole;
    edit(archive);
    INFO(says);
    CHECK(ReadArchiveDirectory(MemoryBytes(archive)).ok());
    CheckRefused(archive, says);
  };
  damaged("'m/data/0' is damaged: its checksum", [](auto& a) { a[InLocal(a, 0, 60)] ^= 1; });
  damaged("'m/code/a.py' is damaged", [](auto& a) { a[InLocal(a, 1, 30 + 11 + 3)] ^= 1; });
  const auto says_size = [](std::string& a, uint32_t size) {
    Put<uint32_t>(a, InDirectory(a, 1, kSize), size);
    Put<uint32_t>(a, InLocal(a, 1, kLocalSize), size);
  };
  damaged("over 4999 bytes", [&](auto& a) { says_size(a, 4999); });
  damaged("has 5000 bytes; expected 5001", [&](auto& a) { says_size(a, 5001); });
  // Packed bytes that say they go on, or are followed by others.
  const auto packed = [](std::string& a, int change) {
    const auto size = static_cast<uint32_t>(Find(a, "PK\3\4", 2) - InLocal(a, 1, 30 + 11));
    Put<uint32_t>(a, InDirectory(a, 1, kPacked), size + change);
    Put<uint32_t>(a, InLocal(a, 1, kLocalPacked), size + change);
  };
  damaged("end too early", [&](auto& a) { packed(a, -2); });
  ArchivePlan plan = kModel;
  const MemoryBytes bytes(whole);
  const auto entries = ReadArchiveDirectory(bytes);
  CHECK(absl::IsFailedPrecondition(ReadArchiveEntry(bytes, entries->at(0), 299).status()));
}

TEST_CASE("Archive: whatever byte is another, it is refused or nothing is", "[worker][load]") {
  ArchivePlan plan = kModel;
  plan.large = true;
  plan.comment = "a comment";
  plan.entries[0].sizes_follow = true;
  plan.entries[1].large = true;
  const std::string whole = BuildArchive(plan);
  const auto refused_or_harmless = [&](const std::string& archive) {
    const MemoryBytes bytes(archive);
    const auto entries = ReadArchiveDirectory(bytes);
    if (!entries.ok()) return absl::IsFailedPrecondition(entries.status());
    if (const absl::Status status = CheckArchiveContents(bytes, *entries); !status.ok()) {
      return absl::IsFailedPrecondition(status);
    }
    for (size_t i = 0; i < entries->size(); ++i) {
      if (entries->at(i).name != plan.entries[i].name) return false;
      const auto content = ReadArchiveEntry(bytes, entries->at(i), 1 << 20);
      if (!content.ok() || *content != plan.entries[i].content) return false;
    }
    return entries->size() == plan.entries.size();
  };
  for (size_t size = 0; size < whole.size(); ++size) {
    if (Check(whole.substr(0, size)).ok()) FAIL("cut to " << size << " bytes it is taken");
  }
  for (size_t i = 0; i < whole.size(); ++i) {
    for (const int flip : {1, 0x80, 0xFF}) {
      std::string archive = whole;
      archive[i] = static_cast<char>(archive[i] ^ flip);
      if (!refused_or_harmless(archive)) FAIL("byte " << i << " changed by " << flip);
    }
  }
  std::mt19937 random(7);
  for (int round = 0; round < 5000; ++round) {
    std::string archive = whole;
    for (unsigned count = 1 + random() % 4; count > 0; --count) {
      archive[random() % archive.size()] = static_cast<char>(random());
    }
    if (!refused_or_harmless(archive)) FAIL("round " << round);
  }
}

}  // namespace
}  // namespace torchfleet::worker
