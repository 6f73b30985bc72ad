#include "model-worker/load/torch_loader.h"

#include <fmt/format.h>
#include <torch/script.h>

#include "base/log.h"
#include "base/status.h"
#include "model-worker/execute/torch_script_model.h"

namespace torchfleet::worker {

absl::StatusOr<std::unique_ptr<Model>> LoadTorchModel(const std::filesystem::path& file,
                                                      const ModelSpec& spec) {
  if (spec.platform != "pytorch_libtorch") {
    return absl::FailedPreconditionError(fmt::format(
        "{}: platform is '{}'; this worker runs pytorch_libtorch", file.string(), spec.platform));
  }
  try {
    torch::jit::Module module = torch::jit::load(file.string(), torch::kCPU);
    module.eval();
    return MakeTorchScriptModel(std::make_unique<torch::jit::Module>(std::move(module)), spec);
  } catch (const std::exception& error) {
    LogDebug("torch::jit::load failed", {{"detail", error.what()}});
    return absl::FailedPreconditionError(
        fmt::format("{} is no TorchScript model, or is damaged; expected what "
                    "torch.jit.script(model).save(…) writes",
                    file.string()));
  }
}

}  // namespace torchfleet::worker
