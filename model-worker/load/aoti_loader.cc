#include "model-worker/load/aoti_loader.h"

#include <fmt/format.h>
#include <torch/csrc/inductor/aoti_runner/model_container_runner_cpu.h>
#include <torch/version.h>

#include "base/log.h"
#include "base/status.h"
#include "model-worker/execute/aoti_model.h"
#include "model-worker/load/aoti_package.h"
#include "model-worker/load/unpacked_folder.h"

namespace torchfleet::worker {
namespace {

using torch::inductor::AOTIModelContainerRunnerCpu;

// Maps the library. What it reads from its folder it reads now.
std::unique_ptr<AOTIModelContainerRunnerCpu> MakeRunner(const UnpackedFolder& folder,
                                                        const AotiPackage& package,
                                                        const ModelSpec& spec) {
  auto runner = std::make_unique<AOTIModelContainerRunnerCpu>(
      (folder.path() / package.library).string(), static_cast<size_t>(spec.instances));
  if (!package.weights_blob.empty()) {
    runner->update_constant_buffer_from_blob((folder.path() / package.weights_blob).string());
  }
  return runner;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> LoadAotiPackage(const ModelFile& file,
                                                       const std::vector<ArchiveEntry>& entries,
                                                       const ModelSpec& spec) {
  ASSIGN_OR_RETURN(const AotiPackage package, ReadAotiPackage(file, entries));
  RETURN_IF_ERROR(CheckMachine(package, ThisMachine()));
  ASSIGN_OR_RETURN(UnpackedFolder folder, UnpackedFolder::Make());
  for (const PackageFile& one : package.files) {
    RETURN_IF_ERROR(folder.Add(file, one.entry, one.name));
  }
  try {
    return MakeAotiModel(MakeRunner(folder, package, spec), spec);
  } catch (const std::exception& error) {
    LogError("the package's library cannot be used", {{"detail", error.what()}});
    return absl::FailedPreconditionError(fmt::format(
        "its compiled library does not fit LibTorch {}; compile the model again with torch {}",
        TORCH_VERSION, TORCH_VERSION));
  }
}

}  // namespace torchfleet::worker
