#pragma once
// What a ZIP archive says it holds, believed only where all of it agrees.
//
// TorchScript's .pt and AOTInductor's .pt2 are ZIP archives, which torch reads
// with miniz. This reads the same records before torch does: the end of the
// central directory (with ZIP64's), the directory, and each entry's local
// header. Where two places say the same thing they must say the same, so that
// no other reader sees another archive than the one that was checked.
//
// Pure over a ByteSource. Format: PKWARE's APPNOTE 6.3.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model-worker/load/byte_source.h"

namespace torchfleet::worker {

// Torch's archives have an entry for each tensor and each class.
inline constexpr uint64_t kMaxArchiveEntries = 100'000;
// miniz cuts longer names.
inline constexpr size_t kMaxArchiveName = 511;
inline constexpr uint64_t kMaxArchiveDirectory = 64 << 20;

// What an archive may unpack to: torch stores tensors as they are and packs
// only code and its line numbers, so this is more than any honest one needs,
// also one that was packed again by hand.
constexpr uint64_t MaxUnpacked(uint64_t file_size) {
  constexpr uint64_t kSlack = 256 << 20;
  return file_size + kSlack > 4 * file_size ? file_size + kSlack : 4 * file_size;
}

enum class ArchiveMethod { kStored, kDeflated };

struct ArchiveEntry {
  std::string name;
  ArchiveMethod method = ArchiveMethod::kStored;
  uint32_t crc = 0;
  // Where the entry's bytes are in the archive.
  uint64_t offset = 0;
  uint64_t packed_size = 0;
  uint64_t size = 0;
};

// In the directory's order. FAILED_PRECONDITION, saying what came and what was
// expected, when `archive` is no whole ZIP archive; when an entry lies outside
// it, over another or over the directory; when a name is there twice, is too
// long, or leads out of the folder it would be unpacked to; when an entry is
// encrypted or packed in a way that torch does not know; when there is too much
// of it, packed or unpacked.
absl::StatusOr<std::vector<ArchiveEntry>> ReadArchiveDirectory(const ByteSource& archive);

}  // namespace torchfleet::worker
