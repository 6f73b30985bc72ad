#pragma once
// The requests that a configuration says a model runs before it is ready.

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "inference/model_config.pb.h"
#include "model-worker/execute/model.h"
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
// FAILED_PRECONDITION for a file that is not there or holds another tensor.
absl::StatusOr<std::vector<WarmUpRun>> WarmUpRuns(const inference::ModelConfig& config,
                                                  const ModelSpec& spec,
                                                  const std::filesystem::path& folder);

// Runs it, as often as it says. FAILED_PRECONDITION when the model fails; throws
// std::bad_alloc.
absl::Status WarmUp(Model& model, const WarmUpRun& run, const Clock& clock);

}  // namespace torchfleet::worker
