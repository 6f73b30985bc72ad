#pragma once
// A model compiled ahead of time by AOTInductor, behind the Model seam.
//
// Torch flattens what forward() takes and gives to rows of tensors. Inputs go by
// name where forward() had keyword arguments or a dictionary of these names, by
// index when all names end in `__0`, `__1`, …, else in the spec's order; outputs
// by a dictionary's names, else by index, else in order.
//
// The compiled code checks shapes only where the process's environment says so:
// PrepareTorch (load/torch_loader.h). It takes other batches than those that it
// was exported for as errors, but for small ones: torch.export takes a size that
// varies to be 2 or more, so that a row alone, or none, is run as two.

#include <memory>

#include "absl/status/statusor.h"
#include "model-worker/execute/model.h"
#include "model-worker/execute/model_spec.h"

namespace torch::inductor {
class AOTIModelContainerRunner;
}

namespace torchfleet::worker {

// Runs the model with a row and with a full batch of ones, where nothing but the
// batch varies. FAILED_PRECONDITION when the package cannot take the spec's
// inputs, or not in every batch up to max_batch_size. `runner` has as many
// models as the spec has instances; a run waits for one of them.
absl::StatusOr<std::unique_ptr<Model>> MakeAotiModel(
    std::unique_ptr<torch::inductor::AOTIModelContainerRunner> runner, const ModelSpec& spec);

}  // namespace torchfleet::worker
