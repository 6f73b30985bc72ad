#include "model-worker/load/torch_loader.h"

#include <caffe2/serialize/read_adapter_interface.h>
#include <fmt/format.h>
#include <torch/script.h>

#include "base/log.h"
#include "base/status.h"
#include "model-worker/execute/torch_script_model.h"
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

absl::Status CheckArchive(const ModelFile& file) {
  ASSIGN_OR_RETURN(const auto entries, ReadArchiveDirectory(file));
  return CheckArchiveContents(file, entries);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> LoadTorchModel(const ModelFile& file,
                                                      const ModelSpec& spec) {
  if (spec.platform != "pytorch_libtorch") {
    return absl::FailedPreconditionError(
        fmt::format("{}: platform is '{}'; this worker runs pytorch_libtorch", file.path().string(),
                    spec.platform));
  }
  RETURN_IF_ERROR(file.About(CheckArchive(file)));
  try {
    torch::jit::Module module = torch::jit::load(std::make_shared<TorchReader>(file), torch::kCPU);
    module.eval();
    return MakeTorchScriptModel(std::make_unique<torch::jit::Module>(std::move(module)), spec);
  } catch (const std::exception& error) {
    LogDebug("torch::jit::load failed", {{"detail", error.what()}});
    return absl::FailedPreconditionError(
        fmt::format("{} is no TorchScript model, or is damaged; expected what "
                    "torch.jit.script(model).save(…) writes",
                    file.path().string()));
  }
}

}  // namespace torchfleet::worker
