#pragma once
// Loads TorchScript files.

#include <memory>

#include "absl/status/statusor.h"
#include "model-worker/execute/model.h"
#include "model-worker/execute/model_spec.h"
#include "model-worker/load/model_file.h"

namespace torchfleet::worker {

// A ModelLoader. Torch sees the file only after all of it was checked, and from
// the same descriptor. FAILED_PRECONDITION when it is no whole archive, cannot
// be read as a TorchScript model, when its forward() does not take the spec's
// inputs, or when its platform is another than pytorch_libtorch.
absl::StatusOr<std::unique_ptr<Model>> LoadTorchModel(const ModelFile& file, const ModelSpec& spec);

}  // namespace torchfleet::worker
