#include "model-worker/execute/torch_script_model.h"

#include <fmt/format.h>
#include <torch/script.h>

#include <algorithm>
#include <optional>

#include "base/log.h"
#include "base/status.h"
#include "model-worker/execute/tensor_bridge.h"
#include "model-worker/execute/tensor_order.h"
#include "model-worker/execute/torch_run.h"

namespace torchfleet::worker {
namespace {

class TorchScriptModel : public Model {
 public:
  TorchScriptModel(std::unique_ptr<torch::jit::Module> module, const ModelSpec& spec)
      : module_(std::move(module)),
        spec_(spec),
        inference_mode_(BoolSetting(spec, "INFERENCE_MODE", true)),
        optimize_(!BoolSetting(spec, "DISABLE_OPTIMIZED_EXECUTION", false)) {}

  // Learns how forward() takes its inputs and gives its outputs.
  absl::Status Bind() {
    const c10::FunctionSchema& schema = module_->get_method("forward").function().getSchema();
    output_positions_ = PositionsByIndexOrOrder(spec_.outputs, OutputCount(schema));
    const auto& arguments = schema.arguments();
    std::vector<std::string> names;
    for (size_t i = 1; i < arguments.size(); ++i) {
      names.push_back(arguments[i].name());
      defaults_.push_back(arguments[i].default_value().value_or(c10::IValue()));
    }
    takes_dictionary_ = names.size() == 1 && arguments[1].type()->kind() == c10::TypeKind::DictType;
    if (takes_dictionary_) return CheckDictionary(*arguments[1].type());
    if (spec_.inputs.size() > names.size()) {
      return absl::FailedPreconditionError(
          fmt::format("config.pbtxt names {} inputs; the model's forward() takes {}",
                      spec_.inputs.size(), names.size()));
    }
    if (auto by_name = PositionsByName(spec_.inputs, names)) {
      input_positions_ = *by_name;
    } else {
      input_positions_ = PositionsByIndexOrOrder(spec_.inputs, names.size());
    }
    return CheckArguments(arguments);
  }

  absl::StatusOr<std::vector<OutputTensor>> Run(const std::vector<BatchInput>& inputs,
                                                RunStages& stages) override {
    PrepareRunThread();
    try {
      return Forward(inputs, stages);
    } catch (const c10::Error& error) {
      return RunFailure(spec_, error.what_without_backtrace());
    } catch (const std::exception& error) {
      // The interpreter turns errors of the operators it runs into its own.
      return RunFailure(spec_, error.what());
    }
  }

 private:
  // Of a tuple that is known; of a list only what is configured.
  size_t OutputCount(const c10::FunctionSchema& schema) const {
    const auto& returns = schema.returns();
    if (returns.size() != 1 || returns[0].type()->kind() != c10::TypeKind::TupleType) {
      return spec_.outputs.size();
    }
    return std::max(returns[0].type()->containedTypes().size(), spec_.outputs.size());
  }

  // forward() takes one dictionary: of tensors by name, or we cannot fill it.
  absl::Status CheckDictionary(const c10::Type& type) const {
    const auto& dictionary = type.expectRef<c10::DictType>();
    if (dictionary.getKeyType()->kind() != c10::TypeKind::StringType ||
        dictionary.getValueType()->kind() != c10::TypeKind::TensorType) {
      return absl::FailedPreconditionError(fmt::format(
          "the model's forward() takes {}; expected Dict[str, Tensor]", type.annotation_str()));
    }
    for (const TensorSpec& input : spec_.inputs) {
      if (input.type != wire::DataType::kBytes) continue;
      return absl::FailedPreconditionError(fmt::format(
          "input '{}' is TYPE_STRING, which a Dict[str, Tensor] cannot hold", Clip(input.name)));
    }
    return absl::OkStatus();
  }

  // Every argument of forward() comes from an input or can do without.
  absl::Status CheckArguments(const std::vector<c10::Argument>& arguments) const {
    std::vector<bool> given(arguments.size());
    for (size_t i = 0; i < spec_.inputs.size(); ++i) {
      if (!spec_.inputs[i].optional) given[input_positions_[i] + 1] = true;
    }
    for (size_t i = 1; i < arguments.size(); ++i) {
      if (given[i] || arguments[i].default_value() ||
          arguments[i].type()->kind() == c10::TypeKind::OptionalType) {
        continue;
      }
      return absl::FailedPreconditionError(
          fmt::format("the model's forward() needs '{}', which no input of config.pbtxt gives in "
                      "every request",
                      arguments[i].name()));
    }
    return absl::OkStatus();
  }

  std::vector<c10::IValue> Arguments(const std::vector<BatchInput>& inputs) const {
    if (takes_dictionary_) {
      c10::Dict<std::string, at::Tensor> dictionary;
      for (size_t i = 0; i < inputs.size(); ++i) {
        if (inputs[i].absent) continue;
        dictionary.insert(spec_.inputs[i].name, ToTorch(spec_.inputs[i], inputs[i]).toTensor());
      }
      return {dictionary};
    }
    std::vector<c10::IValue> arguments = defaults_;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].absent) continue;
      arguments[input_positions_[i]] = ToTorch(spec_.inputs[i], inputs[i]);
    }
    return arguments;
  }

  absl::StatusOr<std::vector<OutputTensor>> Forward(const std::vector<BatchInput>& inputs,
                                                    RunStages& stages) {
    const c10::InferenceMode inference(inference_mode_);
    const torch::jit::GraphOptimizerEnabledGuard optimizer(optimize_);
    std::vector<c10::IValue> arguments = Arguments(inputs);
    stages.Gathered();
    const c10::IValue result = module_->forward(std::move(arguments));
    stages.Computed();
    ASSIGN_OR_RETURN(std::vector<OutputTensor> outputs, Outputs(result));
    OwnWhatInputsLent(inputs, outputs);
    return outputs;
  }

  absl::StatusOr<std::vector<OutputTensor>> Outputs(const c10::IValue& result) const {
    if (result.isGenericDict()) return FromDictionary(result.toGenericDict());
    std::vector<c10::IValue> values;
    if (result.isTuple()) {
      values = result.toTupleRef().elements().vec();
    } else if (result.isTensorList()) {
      for (const at::Tensor& tensor : result.toTensorVector()) values.emplace_back(tensor);
    } else {
      values = {result};
    }
    if (values.size() < spec_.outputs.size()) {
      return absl::InternalError(fmt::format("the model gave {} outputs; its configuration says {}",
                                             values.size(), spec_.outputs.size()));
    }
    std::vector<OutputTensor> outputs;
    for (size_t i = 0; i < spec_.outputs.size(); ++i) {
      ASSIGN_OR_RETURN(OutputTensor output,
                       FromTorch(spec_.outputs[i], values[output_positions_[i]]));
      outputs.push_back(std::move(output));
    }
    return outputs;
  }

  absl::StatusOr<std::vector<OutputTensor>> FromDictionary(
      const c10::Dict<c10::IValue, c10::IValue>& dictionary) const {
    std::vector<OutputTensor> outputs;
    for (const TensorSpec& spec : spec_.outputs) {
      const auto found = dictionary.find(spec.name);
      if (found == dictionary.end()) {
        return absl::InternalError(fmt::format(
            "output '{}' is not in the dictionary that the model gave", Clip(spec.name)));
      }
      ASSIGN_OR_RETURN(OutputTensor output, FromTorch(spec, found->value()));
      outputs.push_back(std::move(output));
    }
    return outputs;
  }

  // forward() of a module is not const, though it changes nothing in eval mode.
  const std::unique_ptr<torch::jit::Module> module_;
  const ModelSpec spec_;
  const bool inference_mode_;
  const bool optimize_;
  // Where in the model's result each of the spec's outputs is.
  std::vector<size_t> output_positions_;
  bool takes_dictionary_ = false;
  // Where in forward()'s arguments each of the spec's inputs goes.
  std::vector<size_t> input_positions_;
  // What forward() gets for an argument that a request leaves out.
  std::vector<c10::IValue> defaults_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> MakeTorchScriptModel(
    std::unique_ptr<torch::jit::Module> module, const ModelSpec& spec) {
  SetThreads(spec);
  auto model = std::make_unique<TorchScriptModel>(std::move(module), spec);
  RETURN_IF_ERROR(model->Bind());
  return model;
}

}  // namespace torchfleet::worker
