#pragma once
// A TorchScript module behind the Model seam.
//
// Inputs go to forward() by name when all of the spec's names are argument
// names, by index when all end in `__0`, `__1`, …, else in the spec's order; a
// forward() that takes one Dict[str, Tensor] gets them by name. Outputs: a
// dictionary by name, else by index, else in order.

#include <memory>

#include "absl/status/statusor.h"
#include "model-worker/execute/model.h"
#include "model-worker/execute/model_spec.h"

namespace torch::jit {
struct Module;
}

namespace torchfleet::worker {

// FAILED_PRECONDITION when forward() cannot take the spec's inputs, or needs
// more than they give. One module
// serves all executors: its weights are there once.
absl::StatusOr<std::unique_ptr<Model>> MakeTorchScriptModel(
    std::unique_ptr<torch::jit::Module> module, const ModelSpec& spec);

}  // namespace torchfleet::worker
