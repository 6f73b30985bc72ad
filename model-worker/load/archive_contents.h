#pragma once
// The bytes of an archive's entries, held against what its directory says.
//
// Torch reads no checksums: without this a bit that fell over on a disk is a
// model that answers a little wrongly. Pure over a ByteSource.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "model-worker/load/archive_directory.h"

namespace torchfleet::worker {

// Reads, and unpacks where it is packed, all of every entry once, in pieces.
// FAILED_PRECONDITION, naming the entry, when it does not unpack to the size
// and the checksum that the directory says.
absl::Status CheckArchiveContents(const ByteSource& archive,
                                  const std::vector<ArchiveEntry>& entries);

// Takes an entry's unpacked bytes, piece by piece.
using PieceSink = absl::FunctionRef<absl::Status(std::string_view piece)>;

// All of an entry, unpacked; the sink's first error, or FAILED_PRECONDITION as
// above, with pieces given out already.
absl::Status CopyArchiveEntry(const ByteSource& archive, const ArchiveEntry& entry, PieceSink sink);

// An entry's bytes, unpacked. FAILED_PRECONDITION as above, and when it has
// over `limit`.
absl::StatusOr<std::string> ReadArchiveEntry(const ByteSource& archive, const ArchiveEntry& entry,
                                             size_t limit);

}  // namespace torchfleet::worker
