#include "cli/infer/infer_command.h"

#include <fmt/format.h>

#include <cstdio>

#include "base/ids.h"
#include "base/status.h"
#include "cli/client/inference_client.h"
#include "cli/exit_codes.h"
#include "cli/infer/answer_text.h"
#include "cli/infer/png_image.h"
#include "cli/infer/request_inputs.h"
#include "cli/state/fleet_file.h"

namespace torchfleet::cli {
namespace {

using inference::ModelInferRequest;

absl::StatusOr<ModelInferRequest> MakeRequest(const InferOptions& options,
                                              const std::vector<InputSpec>& specs) {
  ModelInferRequest request;
  request.set_model_name(options.model);
  request.set_model_version(options.version);
  request.set_id(RandomId());
  for (const std::string& argument : options.inputs) {
    ASSIGN_OR_RETURN(auto input, ReadInput(argument, specs));
    RETURN_IF_ERROR(AddInput(*input.spec, std::move(input.tensor), &request));
  }
  if (!options.image.empty()) {
    if (specs.size() != 1) {
      return absl::InvalidArgumentError(fmt::format(
          "--image is for models with one input; '{}' has {}", options.model, specs.size()));
    }
    ASSIGN_OR_RETURN(auto tensor, TensorFromPng(options.image, specs[0]));
    RETURN_IF_ERROR(AddInput(specs[0], std::move(tensor), &request));
  }
  for (const std::string& output : options.outputs) request.add_outputs()->set_name(output);
  return request;
}

absl::StatusOr<std::string> Infer(const InferOptions& options) {
  ASSIGN_OR_RETURN(const std::string gateway, GatewayAddress(options.gateway));
  ASSIGN_OR_RETURN(const auto client,
                   InferenceClient::Connect(gateway, options.timeout, options.tls_ca));
  ASSIGN_OR_RETURN(const auto metadata, client->Metadata(options.model, options.version));
  ASSIGN_OR_RETURN(const auto specs, InputSpecs(metadata));
  ASSIGN_OR_RETURN(const ModelInferRequest request, MakeRequest(options, specs));
  ASSIGN_OR_RETURN(const auto response, client->Infer(request));
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
