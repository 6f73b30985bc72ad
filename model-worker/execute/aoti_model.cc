#include "model-worker/execute/aoti_model.h"

#include <fmt/format.h>
#include <torch/csrc/inductor/aoti_runner/model_container_runner.h>
#include <torch/script.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <optional>

#include "base/log.h"
#include "base/status.h"
#include "model-worker/execute/call_spec.h"
#include "model-worker/execute/tensor_bridge.h"
#include "model-worker/execute/tensor_order.h"
#include "model-worker/execute/torch_run.h"

namespace torchfleet::worker {
namespace {

using Runner = torch::inductor::AOTIModelContainerRunner;

// How the compiled code's own checks of its inputs begin.
constexpr std::string_view kInputCheck = "input_handles[";
constexpr std::string_view kTooSmall = "dim value is too small at 0";

const std::vector<int64_t>& Inside(const TensorSpec& tensor) {
  return tensor.inside ? *tensor.inside : tensor.shape;
}

class AotiModel : public Model {
 public:
  AotiModel(std::unique_ptr<Runner> runner, const ModelSpec& spec)
      : runner_(std::move(runner)), spec_(spec) {}

  // Learns where inputs go and outputs come from.
  absl::Status Bind() {
    for (const TensorSpec& input : spec_.inputs) {
      if (input.type == wire::DataType::kBytes || input.optional) {
        return absl::FailedPreconditionError(
            fmt::format("input '{}' is {}, which a compiled model cannot take", Clip(input.name),
                        input.optional ? "optional" : "TYPE_STRING"));
      }
    }
    const std::vector<std::string> trees = runner_->get_call_spec();
    const auto takes = trees.empty() ? std::nullopt : LeafNames(trees[0]);
    const auto gives = trees.size() < 2 ? std::nullopt : LeafNames(trees[1]);
    RETURN_IF_ERROR(CheckCounts(takes, gives));
    input_positions_ = Positions(spec_.inputs, takes);
    output_positions_ = Positions(spec_.outputs, gives);
    return absl::OkStatus();
  }

  // Runs it with ones: what it does not take shows before a request comes.
  absl::Status Try() {
    for (const TensorSpec& input : spec_.inputs) {
      const auto& shape = Inside(input);
      const size_t from = spec_.max_batch_size > 0 ? 1 : 0;
      if (std::any_of(shape.begin() + from, shape.end(), [](int64_t d) { return d < 0; })) {
        return absl::OkStatus();  // a length that it takes is not known
      }
    }
    RETURN_IF_ERROR(TryRows(1));
    return spec_.max_batch_size > 1 ? TryRows(spec_.max_batch_size) : absl::OkStatus();
  }

  absl::StatusOr<std::vector<OutputTensor>> Run(const std::vector<BatchInput>& inputs,
                                                RunStages& stages) override {
    PrepareRunThread();
    try {
      const c10::InferenceMode inference;
      std::vector<at::Tensor> tensors(inputs.size());
      for (size_t i = 0; i < inputs.size(); ++i) {
        tensors[input_positions_[i]] = ToTorch(spec_.inputs[i], inputs[i]).toTensor();
      }
      stages.Gathered();
      const std::vector<at::Tensor> results = Compute(tensors);
      stages.Computed();
      ASSIGN_OR_RETURN(std::vector<OutputTensor> outputs, Outputs(results));
      OwnWhatInputsLent(inputs, outputs);
      return outputs;
    } catch (const c10::Error& error) {
      return RunFailure(spec_, error.what_without_backtrace());
    } catch (const std::exception& error) {
      return RunFailure(spec_, error.what());
    }
  }

 private:
  using Names = std::optional<std::vector<std::string>>;

  absl::Status CheckCounts(const Names& takes, const Names& gives) const {
    if (takes && takes->size() != spec_.inputs.size()) {
      return absl::FailedPreconditionError(
          fmt::format("config.pbtxt names {} inputs; the package takes {} tensors",
                      spec_.inputs.size(), takes->size()));
    }
    if (gives && gives->size() < spec_.outputs.size()) {
      return absl::FailedPreconditionError(
          fmt::format("config.pbtxt names {} outputs; the package gives {} tensors",
                      spec_.outputs.size(), gives->size()));
    }
    return absl::OkStatus();
  }

  static std::vector<size_t> Positions(const std::vector<TensorSpec>& specs, const Names& names) {
    if (names) {
      if (auto positions = PositionsByName(specs, *names)) return *std::move(positions);
    }
    return PositionsByIndexOrOrder(specs, names ? names->size() : specs.size());
  }

  // Rows of the batch, where there is one.
  std::optional<int64_t> Rows(const std::vector<at::Tensor>& tensors) const {
    if (spec_.max_batch_size == 0 || tensors.empty() || tensors[0].dim() == 0) return std::nullopt;
    return tensors[0].size(0);
  }

  std::vector<at::Tensor> Compute(const std::vector<at::Tensor>& tensors) {
    const auto rows = Rows(tensors);
    if (!rows || *rows > 1) return runner_->run(tensors);
    if (!least_is_two_.load(std::memory_order_relaxed)) {
      try {
        return runner_->run(tensors);
      } catch (const std::exception& error) {
        if (std::string_view(error.what()).find(kTooSmall) == std::string_view::npos) throw;
        least_is_two_.store(true, std::memory_order_relaxed);
      }
    }
    return ComputeAsTwo(tensors, *rows);
  }

  // A row twice, or two of ones for none; then as many as there were.
  std::vector<at::Tensor> ComputeAsTwo(const std::vector<at::Tensor>& tensors, int64_t rows) {
    std::vector<at::Tensor> two;
    for (const at::Tensor& tensor : tensors) {
      std::vector<int64_t> shape = tensor.sizes().vec();
      shape[0] = 2;
      two.push_back(rows == 1 ? at::cat({tensor, tensor}, 0) : at::ones(shape, tensor.options()));
    }
    std::vector<at::Tensor> results = runner_->run(two);
    for (at::Tensor& result : results) {
      if (result.dim() > 0 && result.size(0) == 2) result = result.narrow(0, 0, rows);
    }
    return results;
  }

  absl::StatusOr<std::vector<OutputTensor>> Outputs(const std::vector<at::Tensor>& results) const {
    std::vector<OutputTensor> outputs;
    for (size_t i = 0; i < spec_.outputs.size(); ++i) {
      if (output_positions_[i] >= results.size()) {
        return absl::InternalError(
            fmt::format("the model gave {} outputs; its configuration says {}", results.size(),
                        spec_.outputs.size()));
      }
      ASSIGN_OR_RETURN(OutputTensor output,
                       FromTorch(spec_.outputs[i], results[output_positions_[i]]));
      outputs.push_back(std::move(output));
    }
    return outputs;
  }

  absl::Status TryRows(int64_t rows) {
    try {
      const c10::InferenceMode inference;
      std::vector<at::Tensor> tensors(spec_.inputs.size());
      for (size_t i = 0; i < spec_.inputs.size(); ++i) {
        std::vector<int64_t> shape = Inside(spec_.inputs[i]);
        if (spec_.max_batch_size > 0) shape[0] = rows;
        tensors[input_positions_[i]] = Ones(spec_.inputs[i], shape);
      }
      Compute(tensors);
    } catch (const std::exception& error) {
      const std::string_view said = error.what();
      const size_t check = said.find(kInputCheck);
      if (check != std::string_view::npos) return Unfit(said.substr(check), rows);
      // Another model may not take ones.
      LogWarning("a run with ones failed", {{"model", spec_.name}, {"detail", said}});
    }
    return absl::OkStatus();
  }

  // `said`: "input_handles[0]: unmatched dim value at 0, expected: 4, but got: 1".
  absl::Status Unfit(std::string_view said, int64_t rows) const {
    said = said.substr(0, said.find('\n'));
    size_t index = 0;
    std::from_chars(said.data() + kInputCheck.size(), said.data() + said.size(), index);
    std::string name = "?";
    for (size_t i = 0; i < input_positions_.size(); ++i) {
      if (input_positions_[i] == index) name = spec_.inputs[i].name;
    }
    const size_t colon = said.find(": ");
    const std::string_view why = said.substr(colon == std::string_view::npos ? 0 : colon + 2);
    const bool batch = spec_.max_batch_size > 0 && why.find(" at 0,") != std::string_view::npos;
    return absl::FailedPreconditionError(fmt::format(
        "the package does not take input '{}' in a batch of {}: {}{}", Clip(name), rows,
        Clip(why, 200),
        batch ? fmt::format("; max_batch_size is {}: export it with a first dimension that varies "
                            "up to that (torch.export.Dim), or set max_batch_size to what it takes",
                            spec_.max_batch_size)
              : ""));
  }

  at::Tensor Ones(const TensorSpec& spec, const std::vector<int64_t>& shape) const {
    // The bridge knows the types.
    BatchInput none;
    none.shape.assign(1, 0);
    return at::ones(shape, ToTorch(spec, none).toTensor().options());
  }

  const std::unique_ptr<Runner> runner_;
  const ModelSpec spec_;
  std::vector<size_t> input_positions_;
  std::vector<size_t> output_positions_;
  // Whether fewer than two rows must be run as two.
  std::atomic<bool> least_is_two_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> MakeAotiModel(std::unique_ptr<Runner> runner,
                                                     const ModelSpec& spec) {
  SetThreads(spec);
  auto model = std::make_unique<AotiModel>(std::move(runner), spec);
  RETURN_IF_ERROR(model->Bind());
  RETURN_IF_ERROR(model->Try());
  return model;
}

}  // namespace torchfleet::worker
