#pragma once
// A folder for files out of an archive, gone with the object.

#include <filesystem>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "model-worker/load/archive_directory.h"

namespace torchfleet::worker {

class UnpackedFolder {
 public:
  // Beneath the system's temporary folder (TMPDIR). RESOURCE_EXHAUSTED when it
  // cannot be made.
  static absl::StatusOr<UnpackedFolder> Make();
  ~UnpackedFolder();
  UnpackedFolder(UnpackedFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  UnpackedFolder& operator=(UnpackedFolder&&) = delete;

  const std::filesystem::path& path() const { return path_; }

  // Unpacks an entry as `name`, which has no '/'. RESOURCE_EXHAUSTED when there
  // is no room; the archive's errors.
  absl::Status Add(const ByteSource& archive, const ArchiveEntry& entry, const std::string& name);

 private:
  explicit UnpackedFolder(std::filesystem::path path) : path_(std::move(path)) {}

  std::filesystem::path path_;
};

}  // namespace torchfleet::worker
