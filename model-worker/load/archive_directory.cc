#include "model-worker/load/archive_directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <unordered_set>

#include "base/status.h"

namespace torchfleet::worker {
namespace {

// Signatures and sizes of the records, without what varies in length.
constexpr char kEndMark[] = "PK\5\6";
constexpr char kEnd64Mark[] = "PK\6\6";
constexpr char kLocator64Mark[] = "PK\6\7";
constexpr char kEntryMark[] = "PK\1\2";
constexpr char kLocalMark[] = "PK\3\4";
constexpr size_t kEndSize = 22;
constexpr size_t kEnd64Size = 56;
constexpr size_t kLocator64Size = 20;
constexpr size_t kEntrySize = 46;
constexpr size_t kLocalSize = 30;
constexpr size_t kMaxComment = 0xFFFF;
// A number that does not fit and is in a ZIP64 record instead.
constexpr uint64_t kElsewhere16 = 0xFFFF;
constexpr uint64_t kElsewhere32 = 0xFFFFFFFF;

constexpr unsigned kEncrypted = 1 << 0 | 1 << 6 | 1 << 13;
constexpr unsigned kPatched = 1 << 5;
// Sizes and checksum follow the entry; the local header has zeros.
constexpr unsigned kSizesFollow = 1 << 3;

template <typename... Arguments>
absl::Status Wrong(fmt::format_string<Arguments...> form, Arguments&&... arguments) {
  return absl::FailedPreconditionError(fmt::format(form, std::forward<Arguments>(arguments)...));
}

// `bytes` has the number; little-endian as this machine.
template <typename Number>
Number At(std::string_view bytes, size_t offset) {
  Number number;
  std::memcpy(&number, bytes.data() + offset, sizeof number);
  return number;
}

uint64_t At16(std::string_view bytes, size_t offset) { return At<uint16_t>(bytes, offset); }
uint64_t At32(std::string_view bytes, size_t offset) { return At<uint32_t>(bytes, offset); }
uint64_t At64(std::string_view bytes, size_t offset) { return At<uint64_t>(bytes, offset); }

bool Begins(std::string_view bytes, const char* mark) { return bytes.substr(0, 4) == mark; }

absl::StatusOr<std::string> Read(const ByteSource& archive, uint64_t offset, uint64_t count) {
  std::string bytes(count, '\0');
  RETURN_IF_ERROR(archive.Read(offset, bytes.size(), bytes.data()));
  return bytes;
}

// The central directory, as the archive's last records place it.
struct Directory {
  uint64_t entries = 0;
  uint64_t offset = 0;
  uint64_t size = 0;
};

// A number and its ZIP64 form: the same, or "elsewhere".
absl::Status CheckSame(const char* what, uint64_t small, uint64_t elsewhere, uint64_t large) {
  if (small == elsewhere || small == large) return absl::OkStatus();
  return Wrong("its last record says {} {}, the ZIP64 one {}; expected the same", what, small,
               large);
}

// `end` is the archive's last record, at `end_offset`.
absl::StatusOr<Directory> ReadEnd64(const ByteSource& archive, std::string_view end,
                                    uint64_t end_offset, std::string_view locator) {
  const uint64_t offset = At64(locator, 8);
  if (At32(locator, 4) != 0 || At32(locator, 16) > 1) {
    return Wrong("it is a part of a ZIP archive in several files; expected a whole one");
  }
  if (end_offset < kEnd64Size + kLocator64Size ||
      offset != end_offset - kLocator64Size - kEnd64Size) {
    return Wrong(
        "its ZIP64 record is said to be at byte {} of {}; expected it right before its "
        "locator",
        offset, archive.size());
  }
  ASSIGN_OR_RETURN(const std::string record, Read(archive, offset, kEnd64Size));
  if (!Begins(record, kEnd64Mark) || At64(record, 4) != kEnd64Size - 12) {
    return Wrong("there is no ZIP64 record at byte {}, where its locator says one is", offset);
  }
  if (At32(record, 16) != 0 || At32(record, 20) != 0 || At64(record, 24) != At64(record, 32)) {
    return Wrong("it is a part of a ZIP archive in several files; expected a whole one");
  }
  const Directory directory = {At64(record, 32), At64(record, 48), At64(record, 40)};
  RETURN_IF_ERROR(CheckSame("entries", At16(end, 10), kElsewhere16, directory.entries));
  RETURN_IF_ERROR(CheckSame("bytes of directory", At32(end, 12), kElsewhere32, directory.size));
  RETURN_IF_ERROR(CheckSame("its offset", At32(end, 16), kElsewhere32, directory.offset));
  return directory;
}

// Where the directory is, once it is known to end where the last records begin.
absl::Status CheckPlace(const Directory& directory, uint64_t records_offset) {
  if (directory.size > records_offset || directory.offset != records_offset - directory.size) {
    return Wrong("its directory is said to be {} bytes at byte {}; expected it to end at byte {}",
                 directory.size, directory.offset, records_offset);
  }
  if (directory.entries == 0) return Wrong("it is an empty ZIP archive");
  if (directory.entries > kMaxArchiveEntries) {
    return Wrong("it has {} entries; expected at most {}", directory.entries, kMaxArchiveEntries);
  }
  if (directory.size > kMaxArchiveDirectory) {
    return Wrong("its directory has {} bytes; expected at most {}", directory.size,
                 kMaxArchiveDirectory);
  }
  return absl::OkStatus();
}

absl::StatusOr<Directory> FindDirectory(const ByteSource& archive) {
  // Readers look for the record from the end, so the last mark counts, also
  // one in a comment.
  const uint64_t tail_size =
      std::min<uint64_t>(archive.size(), kLocator64Size + kEndSize + kMaxComment);
  ASSIGN_OR_RETURN(const std::string tail, Read(archive, archive.size() - tail_size, tail_size));
  const size_t found =
      tail_size < kEndSize ? std::string::npos : tail.rfind(kEndMark, tail_size - kEndSize);
  if (found == std::string::npos) {
    return Wrong("its {} bytes are no ZIP archive, or one that was cut short", archive.size());
  }
  const std::string_view end = std::string_view(tail).substr(found);
  const uint64_t end_offset = archive.size() - end.size();
  if (At16(end, 20) != end.size() - kEndSize) {
    return Wrong(
        "{} bytes follow its last record, which says {}; it was cut short, or something "
        "was added",
        end.size() - kEndSize, At16(end, 20));
  }
  const std::string_view before = std::string_view(tail).substr(0, found);
  if (before.size() >= kLocator64Size &&
      Begins(before.substr(before.size() - kLocator64Size), kLocator64Mark)) {
    ASSIGN_OR_RETURN(
        const Directory directory,
        ReadEnd64(archive, end, end_offset, before.substr(before.size() - kLocator64Size)));
    RETURN_IF_ERROR(CheckPlace(directory, end_offset - kLocator64Size - kEnd64Size));
    return directory;
  }
  if (At16(end, 4) != 0 || At16(end, 6) != 0 || At16(end, 8) != At16(end, 10)) {
    return Wrong("it is a part of a ZIP archive in several files; expected a whole one");
  }
  const Directory directory = {At16(end, 10), At32(end, 16), At32(end, 12)};
  RETURN_IF_ERROR(CheckPlace(directory, end_offset));
  return directory;
}

absl::Status CheckName(std::string_view name) {
  const auto wrong = [&](const char* why) {
    return Wrong("an entry's name {}: '{}'", why, Clip(name, 128));
  };
  if (name.empty()) return Wrong("an entry has no name");
  if (name.size() > kMaxArchiveName) {
    return Wrong("an entry's name has {} bytes; expected at most {}: '{}'", name.size(),
                 kMaxArchiveName, Clip(name));
  }
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      return wrong("has a NUL or another control character");
    }
    if (c == '\\') return wrong("has a backslash");
  }
  if (name.front() == '/') return wrong("is absolute");
  std::string_view rest = name;
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, rest.find('/'));
    if (part == "..") return wrong("leads out of its folder by '..'");
    if (part.empty() || part == ".") return wrong("has an empty part or '.'");
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));  // a folder's ends with '/'
  }
  return absl::OkStatus();
}

// The field of ZIP64 in an entry's extra bytes; empty when there is none.
absl::StatusOr<std::string_view> Extra64(std::string_view extra) {
  while (extra.size() >= 4) {
    const uint64_t tag = At16(extra, 0), length = At16(extra, 2);
    extra.remove_prefix(4);
    if (length > extra.size()) return Wrong("extra bytes of an entry are longer than they can be");
    if (tag == 1) return extra.substr(0, length);
    extra.remove_prefix(length);
  }
  return std::string_view();
}

// An entry as one header has it.
struct Header {
  unsigned flags = 0;
  uint64_t method = 0;
  uint64_t crc = 0;
  uint64_t packed_size = 0;
  uint64_t size = 0;
  uint64_t local_offset = 0;
};

// Takes the numbers that are elsewhere from ZIP64's field, in its order.
absl::Status Resolve(std::string_view extra, const std::string& name,
                     std::initializer_list<uint64_t*> numbers) {
  ASSIGN_OR_RETURN(std::string_view large, Extra64(extra));
  for (uint64_t* number : numbers) {
    if (*number != kElsewhere32) continue;
    if (large.size() < 8) {
      return Wrong("entry '{}' has a size or place that its ZIP64 field should say, but does not",
                   Clip(name, 128));
    }
    *number = At64(large, 0);
    large.remove_prefix(8);
  }
  return absl::OkStatus();
}

absl::Status CheckPacking(const Header& header, const std::string& name) {
  if (header.flags & kEncrypted) return Wrong("entry '{}' is encrypted", Clip(name, 128));
  if ((header.method != 0 && header.method != 8) || header.flags & kPatched) {
    return Wrong("entry '{}' is packed by method {}; expected 0 (stored) or 8 (deflated)",
                 Clip(name, 128), header.method);
  }
  if (header.method == 0 && header.packed_size != header.size) {
    return Wrong("entry '{}' is stored, but has {} bytes packed and {} unpacked; expected the same",
                 Clip(name, 128), header.packed_size, header.size);
  }
  return absl::OkStatus();
}

// The local header repeats what the directory says, or leaves it to what
// follows the entry.
absl::Status CheckLocal(const Header& said, std::string_view local, std::string_view extra,
                        const std::string& name) {
  Header here = {static_cast<unsigned>(At16(local, 6)), At16(local, 8), At32(local, 14),
                 At32(local, 18), At32(local, 22)};
  RETURN_IF_ERROR(Resolve(extra, name, {&here.size, &here.packed_size}));
  const bool follow = (said.flags & kSizesFollow) != 0;
  const auto same = [&](uint64_t a, uint64_t b) { return a == b || (follow && a == 0); };
  if (here.flags == said.flags && here.method == said.method && same(here.crc, said.crc) &&
      same(here.packed_size, said.packed_size) && same(here.size, said.size)) {
    return absl::OkStatus();
  }
  return Wrong(
      "entry '{}' has flags {:#x}, method {}, {} bytes packed and {} unpacked by its own "
      "header, but {:#x}, {}, {} and {} by the directory; expected the same",
      Clip(name, 128), here.flags, here.method, here.packed_size, here.size, said.flags,
      said.method, said.packed_size, said.size);
}

// Where the entry's bytes begin, by its local header.
absl::StatusOr<uint64_t> ReadLocal(const ByteSource& archive, const Header& said,
                                   const std::string& name, uint64_t limit) {
  const auto outside = [&] {
    return Wrong(
        "entry '{}' has {} bytes at byte {}; expected it to end before the directory, at "
        "byte {}",
        Clip(name, 128), said.packed_size, said.local_offset, limit);
  };
  const uint64_t header_size = kLocalSize + name.size();
  if (said.local_offset > limit || header_size > limit - said.local_offset) return outside();
  ASSIGN_OR_RETURN(const std::string local, Read(archive, said.local_offset, header_size));
  if (!Begins(local, kLocalMark)) {
    return Wrong("entry '{}' has no header at byte {}, where the directory says it is",
                 Clip(name, 128), said.local_offset);
  }
  if (At16(local, 26) != name.size() || local.substr(kLocalSize) != name) {
    return Wrong("entry '{}' has another name in its own header", Clip(name, 128));
  }
  const uint64_t extra_offset = said.local_offset + header_size;
  const uint64_t extra_size = At16(local, 28);
  if (extra_size > limit - extra_offset || said.packed_size > limit - extra_offset - extra_size) {
    return outside();
  }
  std::string extra;
  if (At32(local, 18) == kElsewhere32 || At32(local, 22) == kElsewhere32) {
    ASSIGN_OR_RETURN(extra, Read(archive, extra_offset, extra_size));
  }
  RETURN_IF_ERROR(CheckLocal(said, local, extra, name));
  return extra_offset + extra_size;
}

// Takes one entry from the front of what is left of the directory.
absl::StatusOr<std::pair<std::string, Header>> TakeEntry(std::string_view& rest) {
  if (rest.size() < kEntrySize || !Begins(rest, kEntryMark)) {
    return Wrong("its directory has no entry where one must be, {} bytes before its end",
                 rest.size());
  }
  const std::string_view fixed = rest.substr(0, kEntrySize);
  const uint64_t name_size = At16(fixed, 28), extra_size = At16(fixed, 30);
  const uint64_t size = kEntrySize + name_size + extra_size + At16(fixed, 32);
  if (size > rest.size()) return Wrong("its directory ends within an entry");
  std::string name(rest.substr(kEntrySize, name_size));
  RETURN_IF_ERROR(CheckName(name));
  Header header = {static_cast<unsigned>(At16(fixed, 8)),
                   At16(fixed, 10),
                   At32(fixed, 16),
                   At32(fixed, 20),
                   At32(fixed, 24),
                   At32(fixed, 42)};
  if (At16(fixed, 34) != 0) return Wrong("entry '{}' is in another file", Clip(name, 128));
  RETURN_IF_ERROR(Resolve(rest.substr(kEntrySize + name_size, extra_size), name,
                          {&header.size, &header.packed_size, &header.local_offset}));
  RETURN_IF_ERROR(CheckPacking(header, name));
  rest.remove_prefix(size);
  return std::pair(std::move(name), header);
}

struct Extent {
  uint64_t begin;
  uint64_t end;
  const ArchiveEntry* entry;
};

absl::Status CheckDistinct(const std::vector<ArchiveEntry>& entries, std::vector<Extent> extents) {
  std::unordered_set<std::string_view> names;
  for (const ArchiveEntry& entry : entries) {
    if (!names.insert(entry.name).second) {
      return Wrong("entry '{}' is there twice", Clip(entry.name, 128));
    }
  }
  std::sort(extents.begin(), extents.end(),
            [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
  for (size_t i = 1; i < extents.size(); ++i) {
    if (extents[i - 1].end <= extents[i].begin) continue;
    return Wrong("entries '{}' and '{}' overlap", Clip(extents[i - 1].entry->name, 128),
                 Clip(extents[i].entry->name, 128));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<ArchiveEntry>> ReadArchiveDirectory(const ByteSource& archive) {
  ASSIGN_OR_RETURN(const Directory directory, FindDirectory(archive));
  ASSIGN_OR_RETURN(const std::string bytes, Read(archive, directory.offset, directory.size));
  std::vector<ArchiveEntry> entries;
  entries.reserve(directory.entries);  // the extents point at them
  std::vector<Extent> extents;
  const uint64_t most = MaxUnpacked(archive.size());
  uint64_t unpacked = 0;
  std::string_view rest = bytes;
  for (uint64_t i = 0; i < directory.entries; ++i) {
    ASSIGN_OR_RETURN(auto taken, TakeEntry(rest));
    auto& [name, header] = taken;
    if (header.size > most - unpacked) {
      return Wrong(
          "entry '{}' unpacks to {} bytes, after {} of other entries; expected at most {} "
          "in all for a file of {}",
          Clip(name, 128), header.size, unpacked, most, archive.size());
    }
    unpacked += header.size;
    ASSIGN_OR_RETURN(const uint64_t offset, ReadLocal(archive, header, name, directory.offset));
    entries.push_back({std::move(name),
                       header.method == 0 ? ArchiveMethod::kStored : ArchiveMethod::kDeflated,
                       static_cast<uint32_t>(header.crc), offset, header.packed_size, header.size});
    extents.push_back({header.local_offset, offset + header.packed_size, &entries.back()});
  }
  if (!rest.empty()) {
    return Wrong("its directory has {} bytes behind its {} entries; expected none", rest.size(),
                 directory.entries);
  }
  RETURN_IF_ERROR(CheckDistinct(entries, std::move(extents)));
  return entries;
}

}  // namespace torchfleet::worker
