#include "cli/infer/request_inputs.h"

#include <fmt/format.h>

#include "base/status.h"
#include "cli/state/files.h"

namespace torchfleet::cli {

using inference::ModelInferRequest;

namespace {

absl::StatusOr<Tensor> ReadTensor(const std::string& value, wire::DataType type) {
  std::string text = value;
  if (!value.empty() && value[0] == '@') {
    ASSIGN_OR_RETURN(text, ReadFile(value.substr(1)));
    if (value.size() > 4 && value.substr(value.size() - 4) == ".npy") {
      return TensorFromNpy(text, type);
    }
  }
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded()) {
    return absl::InvalidArgumentError(
        fmt::format("'{}' is neither JSON nor @FILE.npy nor @FILE.json", Clip(text)));
  }
  return TensorFromJson(json, type);
}

// NAME=VALUE, where NAME is one of the model's; else the whole is the value of
// the only input.
absl::StatusOr<std::pair<const InputSpec*, std::string>> Split(
    const std::string& argument, const std::vector<InputSpec>& specs) {
  const size_t equals = argument.find('=');
  if (equals != std::string::npos) {
    for (const InputSpec& spec : specs) {
      if (argument.substr(0, equals) == spec.name) {
        return std::pair(&spec, argument.substr(equals + 1));
      }
    }
  }
  const bool bare = equals == std::string::npos || argument[0] == '[' || argument[0] == '"';
  if (specs.size() == 1 && bare) return std::pair(&specs[0], argument);
  std::string names;
  for (const InputSpec& spec : specs) names += (names.empty() ? "" : ", ") + spec.name;
  return absl::InvalidArgumentError(fmt::format(
      "--input {} names none of the model's inputs; expected NAME=VALUE with NAME among: {}",
      Clip(argument), names));
}

}  // namespace

absl::StatusOr<std::vector<InputSpec>> InputSpecs(
    const inference::ModelMetadataResponse& metadata) {
  std::vector<InputSpec> specs;
  for (const auto& input : metadata.inputs()) {
    const auto type = wire::ParseDataType(input.datatype());
    if (!type) return absl::InternalError(fmt::format("unknown datatype {}", input.datatype()));
    specs.push_back({input.name(), *type, {input.shape().begin(), input.shape().end()}});
  }
  return specs;
}

absl::StatusOr<NamedTensor> ReadInput(const std::string& argument,
                                      const std::vector<InputSpec>& specs) {
  ASSIGN_OR_RETURN(const auto split, Split(argument, specs));
  ASSIGN_OR_RETURN(Tensor tensor, ReadTensor(split.second, split.first->type));
  return NamedTensor{split.first, std::move(tensor)};
}

absl::Status AddInput(const InputSpec& spec, Tensor tensor, ModelInferRequest* request) {
  RETURN_IF_ERROR(FitShape(spec, &tensor));
  auto* input = request->add_inputs();
  input->set_name(spec.name);
  input->set_datatype(std::string(wire::DataTypeName(spec.type)));
  input->mutable_shape()->Add(tensor.shape.begin(), tensor.shape.end());
  request->add_raw_input_contents(std::move(tensor.bytes));
  return absl::OkStatus();
}

}  // namespace torchfleet::cli
