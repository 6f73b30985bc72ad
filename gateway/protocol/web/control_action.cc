#include "gateway/protocol/web/control_action.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "base/status.h"
#include "gateway/forward/method_names.h"
#include "gateway/protocol/rest/documents.h"
#include "gateway/protocol/web/model_specs.h"
#include "gateway/protocol/web/proto_json.h"
#include "inference/grpc_service.pb.h"
#include "net/grpc/status.h"

namespace torchfleet::gateway {
namespace {

using nlohmann::json;
using rest::Action;
using rest::RestRoute;

ControlRequest Request(const char* method, const google::protobuf::Message& message) {
  return {.method = std::string(kInferenceMethods) + method,
          .message = message.SerializeAsString()};
}

// A request that names a model.
template <typename Message>
ControlRequest OfModel(const char* method, const RestRoute& route) {
  Message message;
  message.set_name(route.model);
  message.set_version(route.version);
  return Request(method, message);
}

// An empty body stands for an empty object.
absl::StatusOr<json> ReadObject(std::string_view body) {
  if (body.empty()) return json::object();
  const auto count_depth = [](int depth, json::parse_event_t, const json&) { return depth < 100; };
  json object = json::parse(body, count_depth, /*allow_exceptions=*/false);
  if (!object.is_object()) {
    return absl::InvalidArgumentError("the body is not a JSON object; expected one, or nothing");
  }
  return object;
}

// The member, or null.
const json& Member(const json& object, const char* name) {
  static const json kNull;
  const auto found = object.find(name);
  return found == object.end() ? kNull : *found;
}

absl::Status SetParameter(const std::string& name, const json& value,
                          inference::ModelRepositoryParameter& parameter) {
  if (name.starts_with("file:")) {
    const auto bytes =
        value.is_string() ? net::DecodeBase64(value.get<std::string>()) : std::nullopt;
    if (!bytes) {
      return absl::InvalidArgumentError(
          fmt::format("parameter '{}' is not a file in base64", Clip(name)));
    }
    parameter.set_bytes_param(*bytes);
  } else if (value.is_boolean()) {
    parameter.set_bool_param(value.get<bool>());
  } else if (value.is_number_integer()) {
    parameter.set_int64_param(value.get<int64_t>());
  } else if (value.is_string()) {
    parameter.set_string_param(value.get<std::string>());
  } else if (value.is_object() && name == "config") {
    parameter.set_string_param(value.dump());
  } else {
    return absl::InvalidArgumentError(
        fmt::format("parameter '{}' is {}; expected a text, a whole number, true or false",
                    Clip(name), value.type_name()));
  }
  return absl::OkStatus();
}

template <typename Message>
absl::StatusOr<ControlRequest> OfRepository(const char* method, const RestRoute& route,
                                            std::string_view body) {
  ASSIGN_OR_RETURN(const json object, ReadObject(body));
  Message message;
  message.set_model_name(route.model);
  const json& parameters = Member(object, "parameters");
  if (!parameters.is_null() && !parameters.is_object()) {
    return absl::InvalidArgumentError(
        fmt::format("'parameters' is {}; expected an object", parameters.type_name()));
  }
  for (const auto& [name, value] : parameters.items()) {
    RETURN_IF_ERROR(SetParameter(name, value, (*message.mutable_parameters())[name]));
  }
  return Request(method, message);
}

absl::StatusOr<ControlRequest> IndexRequest(std::string_view body) {
  ASSIGN_OR_RETURN(const json object, ReadObject(body));
  const json& ready = Member(object, "ready");
  if (!ready.is_null() && !ready.is_boolean()) {
    return absl::InvalidArgumentError(
        fmt::format("'ready' is {}; expected true or false", ready.type_name()));
  }
  inference::RepositoryIndexRequest message;
  message.set_ready(ready.is_boolean() && ready.get<bool>());
  return Request("RepositoryIndex", message);
}

template <typename Message>
absl::StatusOr<Message> Parse(std::string_view bytes) {
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::InternalError("the answer could not be read");
  }
  return message;
}

ControlDocument YesOrNo(bool yes, std::string json) {
  return {.code = yes ? 200 : 503, .json = std::move(json)};
}

std::string IndexDocument(const inference::RepositoryIndexResponse& index) {
  std::vector<rest::ModelIndexEntry> entries;
  for (const auto& model : index.models()) {
    entries.push_back({model.name(), model.version(), model.state(), model.reason()});
  }
  return rest::RepositoryIndexDocument(entries);
}

std::string_view V1State(std::string_view state) {
  if (state == "READY") return "AVAILABLE";
  return state == "LOADING" || state == "UNLOADING" ? state : "END";
}

absl::StatusOr<ControlDocument> V1Status(const RestRoute& route,
                                         const inference::RepositoryIndexResponse& index) {
  std::vector<rest::V1VersionStatus> versions;
  for (const auto& model : index.models()) {
    if (model.name() != route.model) continue;
    if (!route.version.empty() && model.version() != route.version) continue;
    versions.push_back({.version = model.version(),
                        .state = std::string(V1State(model.state())),
                        .error_code = "OK",
                        .error_message = ""});
  }
  if (versions.empty()) {
    return absl::NotFoundError(
        fmt::format("nobody serves the model '{}'{}", Clip(route.model),
                    route.version.empty() ? "" : fmt::format(" in version {}", route.version)));
  }
  return ControlDocument{.code = 200, .json = rest::V1StatusDocument(versions)};
}

std::string MetadataDocument(const RestRoute& route,
                             const inference::ModelMetadataResponse& metadata) {
  const rest::ModelSpec spec = SpecOf(metadata);
  if (route.action == Action::kModelMetadata) return rest::ModelMetadataDocument(spec);
  const std::string version = !route.version.empty()  ? route.version
                              : spec.versions.empty() ? std::string()
                                                      : spec.versions.back();
  return rest::V1MetadataDocument(spec, version);
}

}  // namespace

absl::StatusOr<ControlRequest> ControlRequestOf(const RestRoute& route, std::string_view body) {
  switch (route.action) {
    case Action::kServerMetadata:
      return Request("ServerMetadata", inference::ServerMetadataRequest());
    case Action::kServerLive:
      return Request("ServerLive", inference::ServerLiveRequest());
    case Action::kServerReady:
      return Request("ServerReady", inference::ServerReadyRequest());
    case Action::kModelMetadata:
    case Action::kV1Metadata:
      return OfModel<inference::ModelMetadataRequest>("ModelMetadata", route);
    case Action::kModelReady:
      return OfModel<inference::ModelReadyRequest>("ModelReady", route);
    case Action::kModelConfig:
      return OfModel<inference::ModelConfigRequest>("ModelConfig", route);
    case Action::kModelStatistics:
      return OfModel<inference::ModelStatisticsRequest>("ModelStatistics", route);
    case Action::kRepositoryIndex:
      return IndexRequest(body);
    case Action::kV1Status:
      return Request("RepositoryIndex", inference::RepositoryIndexRequest());
    case Action::kModelLoad:
      return OfRepository<inference::RepositoryModelLoadRequest>("RepositoryModelLoad", route,
                                                                 body);
    case Action::kModelUnload:
      return OfRepository<inference::RepositoryModelUnloadRequest>("RepositoryModelUnload", route,
                                                                   body);
    default:
      return absl::InternalError("the path stands for no call");
  }
}

absl::StatusOr<ControlDocument> ControlDocumentOf(const RestRoute& route,
                                                  std::string_view response) {
  switch (route.action) {
    case Action::kServerMetadata: {
      ASSIGN_OR_RETURN(const auto server, Parse<inference::ServerMetadataResponse>(response));
      const std::vector<std::string> extensions(server.extensions().begin(),
                                                server.extensions().end());
      return ControlDocument{
          .json = rest::ServerMetadataDocument(server.name(), server.version(), extensions)};
    }
    case Action::kServerLive: {
      ASSIGN_OR_RETURN(const auto live, Parse<inference::ServerLiveResponse>(response));
      return YesOrNo(live.live(), rest::LiveDocument(live.live()));
    }
    case Action::kServerReady: {
      ASSIGN_OR_RETURN(const auto ready, Parse<inference::ServerReadyResponse>(response));
      return YesOrNo(ready.ready(), rest::ReadyDocument(ready.ready()));
    }
    case Action::kModelReady: {
      ASSIGN_OR_RETURN(const auto ready, Parse<inference::ModelReadyResponse>(response));
      return YesOrNo(ready.ready(), rest::ModelReadyDocument(route.model, ready.ready()));
    }
    case Action::kModelMetadata:
    case Action::kV1Metadata: {
      ASSIGN_OR_RETURN(const auto metadata, Parse<inference::ModelMetadataResponse>(response));
      return ControlDocument{.json = MetadataDocument(route, metadata)};
    }
    case Action::kModelConfig: {
      ASSIGN_OR_RETURN(const auto config, Parse<inference::ModelConfigResponse>(response));
      return ControlDocument{.json = ToJson(config.config())};
    }
    case Action::kModelStatistics: {
      ASSIGN_OR_RETURN(const auto statistics, Parse<inference::ModelStatisticsResponse>(response));
      return ControlDocument{.json = ToJson(statistics)};
    }
    case Action::kRepositoryIndex: {
      ASSIGN_OR_RETURN(const auto index, Parse<inference::RepositoryIndexResponse>(response));
      return ControlDocument{.json = IndexDocument(index)};
    }
    case Action::kV1Status: {
      ASSIGN_OR_RETURN(const auto index, Parse<inference::RepositoryIndexResponse>(response));
      return V1Status(route, index);
    }
    default:
      return ControlDocument();
  }
}

}  // namespace torchfleet::gateway
