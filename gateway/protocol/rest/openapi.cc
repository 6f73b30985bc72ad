#include "gateway/protocol/rest/openapi.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "base/version.h"
#include "gateway/protocol/rest/routes.h"

namespace torchfleet::gateway::rest {
namespace {

using Json = nlohmann::ordered_json;

struct Operation {
  Action action;
  // For paths that name a model, and for those that name none.
  std::string_view id;
  std::string_view bare_id;
  std::string_view summary;
  // Schemas of the bodies; none for no body.
  std::string_view request = {};
  std::string_view answer = {};
};

constexpr Operation kOperations[] = {
    {Action::kServerMetadata,
     {},
     "serverMetadata",
     "Name, version and extensions of the server",
     {},
     "ServerMetadata"},
    {Action::kServerLive, {}, "serverLive", "Is the server alive?", {}, "Live"},
    {Action::kServerReady, {}, "serverReady", "Can the server take calls?", {}, "Ready"},
    {Action::kModelMetadata,
     "modelMetadata",
     {},
     "A model's tensors and versions",
     {},
     "ModelMetadata"},
    {Action::kModelReady, "modelReady", {}, "Can the model take calls?", {}, "ModelReady"},
    {Action::kModelConfig, "modelConfig", {}, "A model's configuration", {}, "ModelConfig"},
    {Action::kModelStatistics,
     "modelStatistics",
     "statistics",
     "Counts and times of calls",
     {},
     "Statistics"},
    {Action::kInfer, "infer", {}, "Run a model on tensors", "InferRequest", "InferResponse"},
    {Action::kGenerate,
     "generate",
     {},
     "Let a model write a text",
     "GenerateRequest",
     "GenerateResponse"},
    {Action::kGenerateStream, "generateStream", {}, "The same, as events", "GenerateRequest"},
    {Action::kRepositoryIndex,
     {},
     "repositoryIndex",
     "The models of the repository",
     "IndexRequest",
     "RepositoryIndex"},
    {Action::kModelLoad, "loadModel", {}, "Load a model, or load it anew", "LoadRequest"},
    {Action::kModelUnload, "unloadModel", {}, "Unload a model", "LoadRequest"},
    {Action::kV1Status,
     "v1Status",
     {},
     "State of a model's versions, as TensorFlow Serving has it",
     {},
     "V1Status"},
    {Action::kV1Metadata,
     "v1Metadata",
     {},
     "A model's signature, as TensorFlow Serving has it",
     {},
     "V1Metadata"},
    {Action::kV1Predict,
     "v1Predict",
     {},
     "Run a model on rows or columns, as TensorFlow Serving",
     "V1PredictRequest",
     "V1PredictResponse"},
    {Action::kPlainPredict, "predict", "predictDefault", "Run a model on a row or rows",
     "PlainRequest", "PlainResponse"},
    {Action::kOpenApi, {}, "openApi", "This document", {}, "OpenApi"},
};

bool IsOneOf(Action action, std::initializer_list<Action> actions) {
  return std::find(actions.begin(), actions.end(), action) != actions.end();
}

// What can go wrong, besides 200.
std::vector<int> ErrorCodes(Action action, bool has_body, bool has_model) {
  // The edge's own.
  std::vector<int> codes = {405, 408, 431};
  if (IsOneOf(action, {Action::kOpenApi, Action::kServerLive})) return codes;
  codes.insert(codes.end(), {401, 403, 429, 500, 503, 504});
  if (has_body) codes.insert(codes.end(), {400, 413, 415});
  if (has_model) codes.insert(codes.end(), {400, 404});
  if (action == Action::kPlainPredict) codes.push_back(404);
  if (IsOneOf(action, {Action::kModelLoad, Action::kModelUnload})) {
    codes.insert(codes.end(), {409, 501, 507});
  }
  std::sort(codes.begin(), codes.end());
  codes.erase(std::unique(codes.begin(), codes.end()), codes.end());
  return codes;
}

Json Reference(std::string_view kind, std::string_view name) {
  return {{"$ref", "#/components/" + std::string(kind) + "/" + std::string(name)}};
}

Json Content(std::string_view schema) {
  return {{"application/json", {{"schema", Reference("schemas", schema)}}}};
}

Json Body(const Operation& operation) {
  // The repository's calls may come without one.
  const bool required = !IsOneOf(
      operation.action, {Action::kRepositoryIndex, Action::kModelLoad, Action::kModelUnload});
  Json content = Content(operation.request);
  if (operation.action == Action::kInfer) content["application/octet-stream"] = Json::object();
  return {{"required", required}, {"content", content}};
}

Json Responses(const Operation& operation, bool has_model) {
  Json responses = Json::object();
  if (operation.action == Action::kInfer) {
    responses["200"] = Reference("responses", "Infer");
  } else if (operation.action == Action::kGenerateStream) {
    responses["200"] = Reference("responses", "Events");
  } else {
    responses["200"]["description"] = "Done";
    if (!operation.answer.empty()) responses["200"]["content"] = Content(operation.answer);
  }
  for (const int code : ErrorCodes(operation.action, !operation.request.empty(), has_model)) {
    responses[std::to_string(code)] = Reference("responses", std::to_string(code));
  }
  return responses;
}

Json Described(const Operation& operation, bool has_model, bool has_version) {
  Json described = {{"operationId", std::string(has_model ? operation.id : operation.bare_id) +
                                        (has_version ? "OfVersion" : "")},
                    {"summary", operation.summary}};
  Json parameters = Json::array();
  if (has_model) parameters.push_back(Reference("parameters", "Model"));
  if (has_version) parameters.push_back(Reference("parameters", "Version"));
  if (operation.action == Action::kInfer) {
    parameters.push_back(Reference("parameters", "HeaderLength"));
  }
  if (!parameters.empty()) described["parameters"] = parameters;
  if (!operation.request.empty()) described["requestBody"] = Body(operation);
  described["responses"] = Responses(operation, has_model);
  return described;
}

bool Replace(std::string& path, std::string_view part, std::string_view by) {
  const size_t at = path.find(part);
  if (at == path.npos) return false;
  path.replace(at, part.size(), by);
  return true;
}

}  // namespace

std::string OpenApiDocument() {
  Json document = Json::parse(kOpenApiBase);
  document["info"]["version"] = kVersion;
  Json& paths = document["paths"] = Json::object();
  for (const RoutePattern& pattern : RoutePatterns()) {
    const auto operation =
        std::find_if(std::begin(kOperations), std::end(kOperations),
                     [&](const Operation& known) { return known.action == pattern.action; });
    if (operation == std::end(kOperations)) continue;
    std::string path = "/" + std::string(pattern.path);
    const bool has_model = Replace(path, "{m}", "{model}");
    const bool has_version = Replace(path, "{v}", "{version}");
    Replace(path, "/:", ":");
    paths[path][pattern.verb == Verb::kGet ? "get" : "post"] =
        Described(*operation, has_model, has_version);
  }
  return document.dump();
}

}  // namespace torchfleet::gateway::rest
