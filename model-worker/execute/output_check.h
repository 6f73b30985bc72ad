#pragma once
// Does a model keep what its configuration promises? Pure.

#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "model-worker/execute/model.h"
#include "model-worker/execute/model_spec.h"

namespace torchfleet::worker {

// INTERNAL, naming the output, what the model gave and what its configuration
// says. `batch`: rows of the request, where the model has a batch.
absl::Status CheckOutputs(const ModelSpec& spec, std::optional<int64_t> batch,
                          const std::vector<OutputTensor>& outputs);

}  // namespace torchfleet::worker
