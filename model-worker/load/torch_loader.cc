#include "model-worker/load/torch_loader.h"

#include <caffe2/serialize/read_adapter_interface.h>
#include <fmt/format.h>
#include <torch/script.h>

#include <cstdlib>

#include "base/log.h"
#include "base/status.h"
#include "model-worker/execute/torch_script_model.h"
#include "model-worker/load/aoti_loader.h"
#include "model-worker/load/archive_contents.h"

namespace torchfleet::worker {
namespace {

// The opened file, as torch reads.
class TorchReader : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit TorchReader(const ModelFile& file) : file_(file) {}

  size_t size() const override { return file_.size(); }
  size_t read(uint64_t offset, void* to, size_t count, const char*) const override {
    return file_.Read(offset, count, static_cast<char*>(to)).ok() ? count : 0;
  }

 private:
  const ModelFile& file_;
};

absl::StatusOr<std::unique_ptr<Model>> LoadTorchScript(const ModelFile& file,
                                                       const ModelSpec& spec) {
  try {
    torch::jit::Module module = torch::jit::load(std::make_shared<TorchReader>(file), torch::kCPU);
    module.eval();
    return MakeTorchScriptModel(std::make_unique<torch::jit::Module>(std::move(module)), spec);
  } catch (const std::exception& error) {
    LogDebug("torch::jit::load failed", {{"detail", error.what()}});
    return absl::FailedPreconditionError(
        "it is no TorchScript model, or is damaged; expected what "
        "torch.jit.script(model).save(…) writes");
  }
}

absl::StatusOr<std::unique_ptr<Model>> Load(const ModelFile& file, const ModelSpec& spec) {
  ASSIGN_OR_RETURN(const auto entries, ReadArchiveDirectory(file));
  RETURN_IF_ERROR(CheckArchiveContents(file, entries));
  if (spec.platform == "torch_aoti") return LoadAotiPackage(file, entries, spec);
  return LoadTorchScript(file, spec);
}

}  // namespace

void PrepareTorch() { setenv("AOTI_RUNTIME_CHECK_INPUTS", "1", 1); }

absl::StatusOr<std::unique_ptr<Model>> LoadTorchModel(const ModelFile& file,
                                                      const ModelSpec& spec) {
  if (spec.platform != "pytorch_libtorch" && spec.platform != "torch_aoti") {
    return absl::FailedPreconditionError(
        fmt::format("{}: platform is '{}'; this worker runs pytorch_libtorch and torch_aoti",
                    file.path().string(), spec.platform));
  }
  auto model = Load(file, spec);
  if (!model.ok()) return file.About(model.status());
  return model;
}

}  // namespace torchfleet::worker
