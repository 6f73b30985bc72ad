#include "model-worker/reload/watched_model.h"

#include <sys/stat.h>

#include <utility>

#include "absl/strings/str_replace.h"

namespace torchfleet::worker {

// Absolute, so that it is found in a text for what it is.
WatchedModel::WatchedModel(const std::filesystem::path& repository, std::string model,
                           int64_t version)
    : repository_(std::filesystem::absolute(repository / "").lexically_normal().parent_path()),
      model_(std::move(model)),
      version_(version) {}

absl::StatusOr<RepositoryModel> WatchedModel::Read() {
  // Before they are read: what changes meanwhile is seen afterwards.
  read_[0] = Of(repository_ / model_ / "config.pbtxt");
  auto model = ReadModel(repository_, model_, version_);
  Locate(model);
  read_[1] = Of(file_);
  before_ = read_;
  return model;
}

void WatchedModel::Locate(const absl::StatusOr<RepositoryModel>& read) {
  if (read.ok()) {
    version_ = read->version.version;
    file_ = read->version.model_file;
    return;
  }
  const auto config = repository::ReadConfig(repository_, model_, nullptr);
  if (!config.ok() || version_ == 0) return;
  file_ = repository_ / model_ / std::to_string(version_) / repository::ModelFilename(*config);
}

bool WatchedModel::Changed() {
  const Fingerprints now = {Of(repository_ / model_ / "config.pbtxt"), Of(file_)};
  const Fingerprints before = std::exchange(before_, now);
  return now == before && now != read_;
}

std::string WatchedModel::WithoutFolders(const std::string& text) const {
  const std::string root = repository_.string(), model = (repository_ / model_).string();
  const std::string version = (repository_ / model_ / std::to_string(version_)).string();
  return absl::StrReplaceAll(text, {{version + "/", ""},
                                    {version, "the version's folder"},
                                    {model + "/", ""},
                                    {model, "the model's folder"},
                                    {root + "/", ""},
                                    {root, "the repository"}});
}

WatchedModel::Fingerprint WatchedModel::Of(const std::filesystem::path& file) {
  struct stat found {};
  if (stat(file.c_str(), &found) != 0) return {};
  return {found.st_ino, found.st_size,
          int64_t{found.st_mtim.tv_sec} * 1'000'000'000 + found.st_mtim.tv_nsec};
}

}  // namespace torchfleet::worker
