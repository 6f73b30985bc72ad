#pragma once
// The files of the model that a worker serves: reads its configuration, and sees
// when the files are others than those that were read.
//
// Not thread-safe.

#include <array>
#include <filesystem>
#include <string>

#include "absl/status/statusor.h"
#include "model-worker/load/model_loader.h"

namespace torchfleet::worker {

class WatchedModel {
 public:
  // `version` 0: the highest that is served at the first Read, and that one ever
  // after.
  WatchedModel(const std::filesystem::path& repository, std::string model, int64_t version);

  // As ReadModel. Its file is to be loaded afterwards.
  absl::StatusOr<RepositoryModel> Read();

  // Whether config.pbtxt or the model's file is another than at the last Read,
  // and was the same at the call before: what is still being written is not
  // taken.
  bool Changed();

  // An error's text without the names of the folders that these files are in.
  std::string WithoutFolders(const std::string& text) const;

 private:
  // What tells one content of a file from another; zeros for no file.
  struct Fingerprint {
    uint64_t inode = 0;
    int64_t size = 0;
    int64_t written = 0;
    bool operator==(const Fingerprint&) const = default;
  };
  // Of the configuration and of the model's file.
  using Fingerprints = std::array<Fingerprint, 2>;

  static Fingerprint Of(const std::filesystem::path& file);
  // Where the model's file is, or would be as far as the configuration can be
  // read.
  void Locate(const absl::StatusOr<RepositoryModel>& read);

  const std::filesystem::path repository_;
  const std::string model_;
  int64_t version_;
  std::filesystem::path file_;
  Fingerprints read_;
  Fingerprints before_;
};

}  // namespace torchfleet::worker
