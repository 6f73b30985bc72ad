#pragma once
// How requests wait and share batches, from a model's configuration. Pure.

#include "absl/status/status.h"
#include "inference/model_config.pb.h"
#include "model-worker/execute/model_spec.h"

namespace torchfleet::worker {

// Fills `line`, `batching`, `lengths` and `cpus` of a spec whose tensors and
// parameters are there. INVALID_ARGUMENT, naming the field, for what contradicts
// itself or the model's tensors.
absl::Status ReadServingRules(const inference::ModelConfig& config, ModelSpec& spec);

}  // namespace torchfleet::worker
