#pragma once
// Loads what torch runs: TorchScript files and AOTInductor packages.

#include <memory>

#include "absl/status/statusor.h"
#include "model-worker/execute/model.h"
#include "model-worker/execute/model_spec.h"
#include "model-worker/load/model_file.h"

namespace torchfleet::worker {

// Compiled packages check the shapes of their inputs only where the environment
// says so, and read and write outside of them where it does not. Call first in
// main, while the process has one thread.
void PrepareTorch();

// A ModelLoader. Torch sees the file only after all of it was checked, and from
// the same descriptor. FAILED_PRECONDITION when it is no whole archive, cannot
// be read as a model of its platform or does not run here, when it does not take
// the spec's inputs, or when its platform is none of pytorch_libtorch and
// torch_aoti.
absl::StatusOr<std::unique_ptr<Model>> LoadTorchModel(const ModelFile& file, const ModelSpec& spec);

}  // namespace torchfleet::worker
