#include "model-worker/load/model_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace torchfleet::worker {
namespace {

absl::Status Unreadable(const std::filesystem::path& path, int error) {
  return absl::FailedPreconditionError(
      fmt::format("{} cannot be read: {}", path.string(), std::generic_category().message(error)));
}

bool SameTime(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

}  // namespace

absl::StatusOr<ModelFile> ModelFile::Open(const std::filesystem::path& path) {
  // Opening a pipe must not wait for its other end.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return Unreadable(path, errno);
  struct stat opened = {};
  const int error = fstat(descriptor, &opened) == 0 ? 0 : errno;
  ModelFile file(path, descriptor, opened);
  if (error != 0) return Unreadable(path, error);
  if (!S_ISREG(opened.st_mode)) {
    return absl::FailedPreconditionError(
        fmt::format("{} is {}; expected a file", path.string(),
                    S_ISDIR(opened.st_mode) ? "a folder" : "a device or pipe"));
  }
  return file;
}

ModelFile::ModelFile(ModelFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      opened_(other.opened_) {}

ModelFile::~ModelFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

absl::Status ModelFile::Read(uint64_t offset, size_t count, char* to) const {
  while (count > 0) {
    const ssize_t got = pread(descriptor_, to, count, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return absl::FailedPreconditionError(
          fmt::format("it cannot be read: {}", std::generic_category().message(errno)));
    }
    if (got == 0) {
      return absl::FailedPreconditionError(
          fmt::format("it ends at byte {}; expected {} more", offset, count));
    }
    to += got;
    offset += static_cast<uint64_t>(got);
    count -= static_cast<size_t>(got);
  }
  return absl::OkStatus();
}

absl::Status ModelFile::About(const absl::Status& status) const {
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      fmt::format("{}: {}", path_.string(), std::string(status.message())));
}

std::string ModelFile::OpenedPath() const { return fmt::format("/proc/self/fd/{}", descriptor_); }

absl::Status ModelFile::CheckUnchanged() const {
  struct stat now = {};
  if (fstat(descriptor_, &now) != 0) return Unreadable(path_, errno);
  if (now.st_size == opened_.st_size && SameTime(now.st_mtim, opened_.st_mtim)) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(fmt::format(
      "{} was written to while it was loaded; put a new file in its place instead, by a rename",
      path_.string()));
}

}  // namespace torchfleet::worker
