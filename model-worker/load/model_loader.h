#pragma once
// From a repository to a model that can run.

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "inference/model_config.pb.h"
#include "model-worker/execute/model.h"
#include "model-worker/execute/model_spec.h"
#include "model-worker/load/model_file.h"
#include "repository/layout.h"

namespace torchfleet::worker {

// Makes a model of the file of a version. FAILED_PRECONDITION, naming the file,
// when it is damaged or does not fit the spec. The seam between the worker and
// LibTorch: the process's main chooses the loader.
using ModelLoader = std::function<absl::StatusOr<std::unique_ptr<Model>>(const ModelFile& file,
                                                                         const ModelSpec& spec)>;

// A version of a model as the repository holds it.
struct RepositoryModel {
  inference::ModelConfig config;
  repository::ModelVersion version;
  ModelSpec spec;
};

// `version` 0 means the highest served. Warns of config fields that are
// skipped. NOT_FOUND and INVALID_ARGUMENT as repository/layout.h says;
// INVALID_ARGUMENT for settings that this worker does not offer.
absl::StatusOr<RepositoryModel> ReadModel(const std::filesystem::path& repository,
                                          const std::string& model, int64_t version);

// Opens the version's file, holds it against the digest that its configuration
// pins, and has `loader` load it. FAILED_PRECONDITION, naming the file, when it
// cannot be read, has another digest, or was written to meanwhile; the loader's
// errors.
absl::StatusOr<std::unique_ptr<Model>> LoadModel(const RepositoryModel& model,
                                                 const ModelLoader& loader);

}  // namespace torchfleet::worker
