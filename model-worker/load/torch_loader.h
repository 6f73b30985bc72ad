#pragma once
// Loads TorchScript files.

#include <filesystem>
#include <memory>

#include "absl/status/statusor.h"
#include "model-worker/execute/model.h"
#include "model-worker/execute/model_spec.h"

namespace torchfleet::worker {

// FAILED_PRECONDITION when the file cannot be read as a TorchScript model,
// when its forward() does not take the spec's inputs, or when its platform is
// another than pytorch_libtorch.
absl::StatusOr<std::unique_ptr<Model>> LoadTorchModel(const std::filesystem::path& file,
                                                      const ModelSpec& spec);

}  // namespace torchfleet::worker
