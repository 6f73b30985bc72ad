#include "model-worker/load/unpacked_folder.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <system_error>

#include "base/status.h"
#include "model-worker/load/archive_contents.h"

namespace torchfleet::worker {
namespace {

absl::Status NoRoom(const std::filesystem::path& path, int error) {
  return absl::ResourceExhaustedError(fmt::format("it cannot be unpacked to {}: {}", path.string(),
                                                  std::generic_category().message(error)));
}

}  // namespace

absl::StatusOr<UnpackedFolder> UnpackedFolder::Make() {
  std::error_code error;
  const auto temporary = std::filesystem::temp_directory_path(error);
  if (error) return NoRoom("a temporary folder", error.value());
  std::string path = (temporary / "torchfleet-model-XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr) return NoRoom(path, errno);
  return UnpackedFolder(path);
}

UnpackedFolder::~UnpackedFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

absl::Status UnpackedFolder::Add(const ByteSource& archive, const ArchiveEntry& entry,
                                 const std::string& name) {
  const auto path = path_ / name;
  std::ofstream file(path, std::ios::binary);
  RETURN_IF_ERROR(CopyArchiveEntry(archive, entry, [&](std::string_view piece) {
    file.write(piece.data(), static_cast<std::streamsize>(piece.size()));
    return file ? absl::OkStatus() : NoRoom(path, errno);
  }));
  file.close();
  return file ? absl::OkStatus() : NoRoom(path, errno);
}

}  // namespace torchfleet::worker
