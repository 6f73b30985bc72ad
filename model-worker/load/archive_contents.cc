#include "model-worker/load/archive_contents.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <string_view>

#include "base/status.h"

namespace torchfleet::worker {
namespace {

constexpr size_t kPiece = 256 << 10;

absl::Status Damaged(const ArchiveEntry& entry, std::string_view why) {
  return absl::FailedPreconditionError(
      fmt::format("entry '{}' is damaged: {}", Clip(entry.name, 128), why));
}

// Pieces of an entry as they are in the archive.
class PackedPieces {
 public:
  PackedPieces(const ByteSource& archive, const ArchiveEntry& entry)
      : archive_(archive), offset_(entry.offset), left_(entry.packed_size) {}

  bool done() const { return left_ == 0; }
  // Valid until the next.
  absl::StatusOr<std::string_view> Next() {
    const auto count = static_cast<size_t>(std::min<uint64_t>(left_, kPiece));
    piece_.resize(count);
    RETURN_IF_ERROR(archive_.Read(offset_, count, piece_.data()));
    offset_ += count;
    left_ -= count;
    return std::string_view(piece_);
  }

 private:
  const ByteSource& archive_;
  uint64_t offset_;
  uint64_t left_;
  std::string piece_;
};

absl::Status ReadStored(PackedPieces& pieces, PieceSink sink) {
  while (!pieces.done()) {
    ASSIGN_OR_RETURN(const std::string_view piece, pieces.Next());
    RETURN_IF_ERROR(sink(piece));
  }
  return absl::OkStatus();
}

// Deflate without zlib's head and tail, as in ZIP.
class Inflater {
 public:
  Inflater() { started_ = inflateInit2(&stream_, -MAX_WBITS) == Z_OK; }
  ~Inflater() {
    if (started_) inflateEnd(&stream_);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Never more than the entry's size; the packed bytes end where the unpacked
  // ones do.
  absl::Status Read(PackedPieces& pieces, const ArchiveEntry& entry, PieceSink sink) {
    if (!started_) return absl::ResourceExhaustedError("memory does not suffice to unpack");
    std::string unpacked(kPiece, '\0');
    int result = Z_OK;
    for (uint64_t total = 0; result != Z_STREAM_END;) {
      if (stream_.avail_in == 0) {
        if (pieces.done()) return Damaged(entry, "its packed bytes end too early");
        ASSIGN_OR_RETURN(const std::string_view piece, pieces.Next());
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
        stream_.avail_in = static_cast<uInt>(piece.size());
      }
      stream_.next_out = reinterpret_cast<Bytef*>(unpacked.data());
      stream_.avail_out = static_cast<uInt>(unpacked.size());
      result = inflate(&stream_, Z_NO_FLUSH);
      if (result != Z_OK && result != Z_STREAM_END) return Damaged(entry, "it does not unpack");
      const size_t count = unpacked.size() - stream_.avail_out;
      total += count;
      if (total > entry.size) {
        return Damaged(entry,
                       fmt::format("it unpacks to over {} bytes, which are expected", entry.size));
      }
      RETURN_IF_ERROR(sink(std::string_view(unpacked).substr(0, count)));
    }
    if (stream_.avail_in > 0 || !pieces.done()) {
      return Damaged(entry, "bytes follow its packed ones");
    }
    return absl::OkStatus();
  }

 private:
  z_stream stream_ = {};
  bool started_ = false;
};

}  // namespace

absl::Status CopyArchiveEntry(const ByteSource& archive, const ArchiveEntry& entry,
                              PieceSink sink) {
  uint64_t size = 0;
  uLong crc = crc32(0, nullptr, 0);
  const auto counted = [&](std::string_view piece) {
    size += piece.size();
    crc = crc32(crc, reinterpret_cast<const Bytef*>(piece.data()), static_cast<uInt>(piece.size()));
    return sink(piece);
  };
  PackedPieces pieces(archive, entry);
  RETURN_IF_ERROR(entry.method == ArchiveMethod::kStored ? ReadStored(pieces, counted)
                                                         : Inflater().Read(pieces, entry, counted));
  if (size != entry.size) {
    return Damaged(entry, fmt::format("it has {} bytes; expected {}", size, entry.size));
  }
  if (crc != entry.crc) {
    return Damaged(entry, fmt::format("its checksum is {:08x}; expected {:08x}", crc, entry.crc));
  }
  return absl::OkStatus();
}

absl::Status CheckArchiveContents(const ByteSource& archive,
                                  const std::vector<ArchiveEntry>& entries) {
  for (const ArchiveEntry& entry : entries) {
    RETURN_IF_ERROR(
        CopyArchiveEntry(archive, entry, [](std::string_view) { return absl::OkStatus(); }));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadArchiveEntry(const ByteSource& archive, const ArchiveEntry& entry,
                                             size_t limit) {
  if (entry.size > limit) {
    return absl::FailedPreconditionError(fmt::format("entry '{}' has {} bytes; expected at most {}",
                                                     Clip(entry.name, 128), entry.size, limit));
  }
  std::string bytes;
  RETURN_IF_ERROR(CopyArchiveEntry(archive, entry, [&](std::string_view piece) {
    bytes.append(piece);
    return absl::OkStatus();
  }));
  return bytes;
}

}  // namespace torchfleet::worker
