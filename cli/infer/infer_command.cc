#include "cli/infer/infer_command.h"

#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include "base/ids.h"
#include "base/status.h"
#include "cli/client/inference_client.h"
#include "cli/exit_codes.h"
#include "cli/infer/answer_text.h"
#include "cli/infer/png_image.h"
#include "cli/infer/tensor_text.h"
#include "cli/state/fleet_file.h"

namespace torchfleet::cli {
namespace {

using inference::ModelInferRequest;

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return absl::InvalidArgumentError(fmt::format("{} cannot be read", path));
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

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

absl::StatusOr<std::vector<InputSpec>> Specs(const inference::ModelMetadataResponse& metadata) {
  std::vector<InputSpec> specs;
  for (const auto& input : metadata.inputs()) {
    const auto type = wire::ParseDataType(input.datatype());
    if (!type) return absl::InternalError(fmt::format("unknown datatype {}", input.datatype()));
    specs.push_back({input.name(), *type, {input.shape().begin(), input.shape().end()}});
  }
  return specs;
}

absl::Status AddInput(const InputSpec& spec, absl::StatusOr<Tensor> tensor,
                      ModelInferRequest* request) {
  RETURN_IF_ERROR(tensor.status());
  RETURN_IF_ERROR(FitShape(spec, &*tensor));
  auto* input = request->add_inputs();
  input->set_name(spec.name);
  input->set_datatype(std::string(wire::DataTypeName(spec.type)));
  input->mutable_shape()->Add(tensor->shape.begin(), tensor->shape.end());
  request->add_raw_input_contents(std::move(tensor->bytes));
  return absl::OkStatus();
}

absl::StatusOr<ModelInferRequest> MakeRequest(const InferOptions& options,
                                              const std::vector<InputSpec>& specs) {
  ModelInferRequest request;
  request.set_model_name(options.model);
  request.set_model_version(options.version);
  request.set_id(RandomId());
  for (const std::string& argument : options.inputs) {
    ASSIGN_OR_RETURN(const auto split, Split(argument, specs));
    RETURN_IF_ERROR(AddInput(*split.first, ReadTensor(split.second, split.first->type), &request));
  }
  if (!options.image.empty()) {
    if (specs.size() != 1) {
      return absl::InvalidArgumentError(fmt::format(
          "--image is for models with one input; '{}' has {}", options.model, specs.size()));
    }
    RETURN_IF_ERROR(AddInput(specs[0], TensorFromPng(options.image, specs[0]), &request));
  }
  for (const std::string& output : options.outputs) request.add_outputs()->set_name(output);
  return request;
}

absl::StatusOr<std::string> Infer(const InferOptions& options) {
  std::string gateway = options.gateway;
  if (gateway.empty()) {
    const auto fleet = ReadFleetFile();
    gateway = fleet ? fleet->AddressOf("gateway") : "";
  }
  if (gateway.empty()) {
    return absl::UnavailableError(
        "no fleet runs here; start one with torchfleet up, or name a gateway with --gateway");
  }
  InferenceClient client(gateway, options.timeout);
  ASSIGN_OR_RETURN(const auto metadata, client.Metadata(options.model, options.version));
  ASSIGN_OR_RETURN(const auto specs, Specs(metadata));
  ASSIGN_OR_RETURN(const ModelInferRequest request, MakeRequest(options, specs));
  ASSIGN_OR_RETURN(const auto response, client.Infer(request));
  if (response.id() != request.id()) {
    return absl::InternalError("the answer belongs to another call");
  }
  return options.format == "json" ? AnswerAsJson(response) : AnswerAsTable(response);
}

}  // namespace

int RunInfer(const InferOptions& options) {
  const auto text = Infer(options);
  if (!text.ok()) return Fail(text.status());
  std::fputs(text->c_str(), stdout);
  return kOk;
}

}  // namespace torchfleet::cli
