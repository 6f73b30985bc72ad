#pragma once
// A model's file, opened once: what is checked is what is loaded, also when
// another file takes its name meanwhile.
//
// Owns the descriptor. Reads do not move a position: thread-safe.

#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "model-worker/load/byte_source.h"

namespace torchfleet::worker {

class ModelFile : public ByteSource {
 public:
  // FAILED_PRECONDITION, naming the file, when it cannot be opened or is no
  // regular file.
  static absl::StatusOr<ModelFile> Open(const std::filesystem::path& path);
  ~ModelFile() override;
  ModelFile(ModelFile&& other) noexcept;
  ModelFile& operator=(ModelFile&&) = delete;

  const std::filesystem::path& path() const { return path_; }
  uint64_t size() const override { return static_cast<uint64_t>(opened_.st_size); }
  // What it says of failures does not name the file: About does.
  absl::Status Read(uint64_t offset, size_t count, char* to) const override;

  // `status`, its message behind the file's path.
  absl::Status About(const absl::Status& status) const;

  // A path at which this very file can be opened again as long as this object
  // lives, whatever has its name by now. For libraries that take paths only.
  std::string OpenedPath() const;

  // FAILED_PRECONDITION when the file was written to since it was opened: what
  // was checked may not be what was loaded.
  absl::Status CheckUnchanged() const;

 private:
  ModelFile(std::filesystem::path path, int descriptor, const struct stat& opened)
      : path_(std::move(path)), descriptor_(descriptor), opened_(opened) {}

  std::filesystem::path path_;
  int descriptor_;
  struct stat opened_;
};

}  // namespace torchfleet::worker
