#include "tests/fuzz/archive_check.h"

#include <filesystem>
#include <map>

#include "model-worker/load/archive_contents.h"
#include "model-worker/load/archive_directory.h"
#include "tests/unit/model-worker/archive_builder.h"

namespace torchfleet::worker {
namespace {

std::string RefusalFault(const absl::Status& status) {
  if (!absl::IsFailedPrecondition(status)) {
    return "a refusal of another kind: " + std::string(status.message());
  }
  return status.message().size() <= 1024 ? "" : "an error is too long";
}

// By the standard library's way to see names.
bool StaysInside(const std::string& name) {
  const std::filesystem::path path(name);
  if (path.is_absolute() || name.find('\0') != std::string::npos) return false;
  const std::filesystem::path folder("/folder");
  const std::string unpacked = (folder / path).lexically_normal().string();
  return unpacked.size() > 8 && unpacked.compare(0, 8, "/folder/") == 0;
}

std::string PlacesFault(std::string_view bytes, const std::vector<ArchiveEntry>& entries) {
  std::map<uint64_t, uint64_t> extents;
  std::map<std::string, int> names;
  uint64_t unpacked = 0;
  for (const ArchiveEntry& entry : entries) {
    if (!StaysInside(entry.name)) return "a name leads elsewhere: " + entry.name;
    if (++names[entry.name] > 1) return "a name is there twice";
    if (entry.offset > bytes.size() || entry.packed_size > bytes.size() - entry.offset) {
      return "an entry lies outside";
    }
    if (entry.packed_size > 0) extents[entry.offset] += entry.packed_size;
    unpacked += entry.size;
  }
  if (unpacked > MaxUnpacked(bytes.size())) return "it unpacks to too much";
  uint64_t end = 0;
  for (const auto& [offset, size] : extents) {
    if (offset < end) return "entries overlap";
    end = offset + size;
  }
  return "";
}

// The same entries in an archive of our own making.
std::string AgainFault(const ByteSource& archive, const std::vector<ArchiveEntry>& entries) {
  ArchivePlan plan;
  for (const ArchiveEntry& entry : entries) {
    const auto content = ReadArchiveEntry(archive, entry, 1 << 20);
    if (!content.ok()) return entry.size > 1 << 20 ? "" : "a checked entry cannot be read";
    plan.entries.push_back({entry.name, *content, entry.method == ArchiveMethod::kDeflated});
  }
  const std::string written = BuildArchive(plan);
  const MemoryBytes again(written);
  const auto read = ReadArchiveDirectory(again);
  if (!read.ok()) return "written again it is refused: " + std::string(read.status().message());
  if (!CheckArchiveContents(again, *read).ok()) return "written again it is damaged";
  if (read->size() != entries.size()) return "written again it has other entries";
  for (size_t i = 0; i < entries.size(); ++i) {
    if (read->at(i).crc != entries[i].crc || read->at(i).name != entries[i].name) {
      return "written again it is another";
    }
  }
  return "";
}

}  // namespace

std::string ArchiveFault(std::string_view bytes) {
  const MemoryBytes archive(bytes);
  const auto entries = ReadArchiveDirectory(archive);
  if (!entries.ok()) return RefusalFault(entries.status());
  if (std::string fault = PlacesFault(bytes, *entries); !fault.empty()) return fault;
  if (const absl::Status whole = CheckArchiveContents(archive, *entries); !whole.ok()) {
    return RefusalFault(whole);
  }
  return AgainFault(archive, *entries);
}

}  // namespace torchfleet::worker
