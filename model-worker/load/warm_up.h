#pragma once
// The requests that a configuration says a model runs before it is ready.

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "inference/model_config.pb.h"
#include "model-worker/execute/batch_input.h"
#include "model-worker/execute/model_spec.h"

namespace torchfleet::worker {

struct WarmUpRun {
  std::string name;
  int count = 1;
  // As the spec lists them; views into `bytes`.
  std::vector<BatchInput> inputs;
  std::vector<std::string> bytes;
};

// The runs of `model_warmup`, files taken from `folder`/warmup. INVALID_ARGUMENT
// for inputs that the model does not take and shapes that do not fit it,
// FAILED_PRECONDITION for a file that is not there or has another size.
absl::StatusOr<std::vector<WarmUpRun>> WarmUpRuns(const inference::ModelConfig& config,
                                                  const ModelSpec& spec,
                                                  const std::filesystem::path& folder);

// FAILED_PRECONDITION, from what the model answered to a run.
absl::Status WarmUpFailed(const WarmUpRun& run, const absl::Status& status);

}  // namespace torchfleet::worker
