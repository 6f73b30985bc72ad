#include "repository/publish.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <google/protobuf/text_format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "base/ids.h"
#include "base/status.h"

namespace torchfleet::repository {
namespace {

namespace fs = std::filesystem;

absl::Status FileError(const fs::path& path, const std::string& what, int error) {
  const std::string text =
      fmt::format("{} cannot be {}: {}", path.string(), what, std::strerror(error));
  return error == ENOSPC ? absl::ResourceExhaustedError(text) : absl::InternalError(text);
}

// Files and folders alike.
absl::Status Sync(const fs::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FileError(path, "opened", errno);
  const int result = fsync(fd);
  const int error = errno;
  close(fd);
  return result == 0 ? absl::OkStatus() : FileError(path, "synced", error);
}

absl::Status SyncTree(const fs::path& folder) {
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
    RETURN_IF_ERROR(Sync(entry.path()));
  }
  return Sync(folder);
}

// One higher than every folder that is a number, served or not.
int64_t NextVersion(const fs::path& folder) {
  int64_t highest = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    int64_t number = 0;
    if (absl::SimpleAtoi(entry.path().filename().string(), &number)) {
      highest = std::max(highest, number);
    }
  }
  return highest + 1;
}

absl::Status ReplaceConfig(const fs::path& folder, const inference::ModelConfig& config) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(config, &text);
  const fs::path temporary = folder / fmt::format(".config.pbtxt.{}", RandomId());
  absl::Cleanup remove = [&] {
    std::error_code ignored;
    fs::remove(temporary, ignored);
  };
  {
    std::ofstream file(temporary, std::ios::binary);
    file << text;
    file.flush();
    if (!file) return FileError(temporary, "written", errno);
  }
  RETURN_IF_ERROR(Sync(temporary));
  if (rename(temporary.c_str(), (folder / "config.pbtxt").c_str()) != 0) {
    return FileError(folder / "config.pbtxt", "replaced", errno);
  }
  return Sync(folder);
}

// Renames `temporary` to the next free number: rename refuses to replace a
// folder with files in it, so of two publishers each gets its own.
absl::StatusOr<int64_t> Appear(const fs::path& temporary, const fs::path& folder) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    const int64_t version = NextVersion(folder);
    const fs::path target = folder / std::to_string(version);
    if (rename(temporary.c_str(), target.c_str()) == 0) return version;
    if (errno != ENOTEMPTY && errno != EEXIST) return FileError(target, "created", errno);
  }
  return absl::AbortedError(
      fmt::format("{}: others publish versions faster than this one can", folder.string()));
}

}  // namespace

absl::StatusOr<ModelVersion> Publish(
    const fs::path& root, const inference::ModelConfig& config,
    const std::function<absl::Status(const fs::path& folder)>& write) {
  if (!IsModelName(config.name())) {
    return absl::InvalidArgumentError(fmt::format(
        "'{}' is no model name; expected letters, digits, '_', '-' and '.'", Clip(config.name())));
  }
  const fs::path folder = root / config.name();
  const fs::path temporary = folder / fmt::format(".publish-{}", RandomId());
  std::error_code error;
  const bool new_model = !fs::exists(folder, error);
  fs::create_directories(temporary, error);
  if (error) return FileError(temporary, "created", error.value());
  absl::Cleanup remove = [&] {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    // Only when nothing else came into it.
    if (new_model) fs::remove(folder, ignored);
  };
  RETURN_IF_ERROR(write(temporary));
  const std::string filename = ModelFilename(config);
  if (!fs::exists(temporary / filename, error)) {
    return absl::FailedPreconditionError(fmt::format(
        "version of '{}' was written without {}; nothing is published", config.name(), filename));
  }
  RETURN_IF_ERROR(SyncTree(temporary));
  RETURN_IF_ERROR(ReplaceConfig(folder, config));
  ASSIGN_OR_RETURN(const int64_t version, Appear(temporary, folder));
  RETURN_IF_ERROR(Sync(folder));
  if (new_model) RETURN_IF_ERROR(Sync(root));
  const fs::path appeared = folder / std::to_string(version);
  return ModelVersion{config.name(), version, appeared, appeared / filename};
}

}  // namespace torchfleet::repository
