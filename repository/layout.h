#pragma once
// A model repository on disk: <root>/<model>/config.pbtxt and
// <root>/<model>/<version>/model.pt, as Triton lays it out.
//
// Reads only; publishing is in publish.h. Errors name the file and what is
// wrong with it. Pure but for the file system.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "inference/model_config.pb.h"

namespace torchfleet::repository {

// One version of one model that can be served.
struct ModelVersion {
  std::string model;
  int64_t version = 0;
  std::filesystem::path folder;      // <root>/<model>/<version>
  std::filesystem::path model_file;  // folder / default_model_filename
};

// Letters, digits, '_', '-' and '.', not beginning with '.', at most 128 bytes.
bool IsModelName(std::string_view name);

// The platform a config asks for, from `platform` or `backend`:
// "pytorch_libtorch" or "torch_aoti"; INVALID_ARGUMENT for any other.
absl::StatusOr<std::string> Platform(const inference::ModelConfig& config);

// The file that a version's folder holds: `default_model_filename`, else
// "model.pt", or "model.pt2" for torch_aoti.
std::string ModelFilename(const inference::ModelConfig& config);

// Reads <root>/<model>/config.pbtxt. Fields we do not know are skipped; each is
// named in `skipped` when it is not null. NOT_FOUND without the file,
// INVALID_ARGUMENT (file:line:column) when it cannot be read, or when what it
// says contradicts itself.
absl::StatusOr<inference::ModelConfig> ReadConfig(const std::filesystem::path& root,
                                                  const std::string& model,
                                                  std::vector<std::string>* skipped);

// Every version there is, ascending, at least one. A version is a folder whose name
// is a whole number over 0 and that holds the model's file.
absl::StatusOr<std::vector<ModelVersion>> ListVersions(const std::filesystem::path& root,
                                                       const std::string& model,
                                                       const inference::ModelConfig& config);

// Those that the config's policy serves.
absl::StatusOr<std::vector<ModelVersion>> ServedVersions(const std::filesystem::path& root,
                                                         const std::string& model,
                                                         const inference::ModelConfig& config);

// Every folder with a config.pbtxt, sorted. NOT_FOUND when `root` is no folder.
absl::StatusOr<std::vector<std::string>> ListModels(const std::filesystem::path& root);

}  // namespace torchfleet::repository
