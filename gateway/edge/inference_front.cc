#include "gateway/edge/inference_front.h"

#include <fmt/format.h>

#include <string>

#include "base/grpc_status.h"
#include "base/status.h"
#include "base/version.h"
#include "gateway/edge/raw_message.h"
#include "gateway/edge/statistics_call.h"

namespace torchfleet::gateway {
namespace {

constexpr char kModelMetadata[] = "/inference.GRPCInferenceService/ModelMetadata";

grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context, const absl::Status& status) {
  auto* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpc(status));
  return reactor;
}

// The worker knows its own version; callers want the fleet's.
absl::Status SetVersions(const FleetSnapshot& fleet, const std::string& model,
                         grpc::ByteBuffer& reply) {
  inference::ModelMetadataResponse metadata;
  if (!ParseMessage(reply, metadata).ok()) {
    return absl::InternalError("a worker's metadata could not be read");
  }
  metadata.clear_versions();
  for (const std::string& version : fleet.ReadyVersions(model)) metadata.add_versions(version);
  WriteMessage(metadata, reply);
  return absl::OkStatus();
}

inference::RepositoryIndexResponse Index(const FleetSnapshot& fleet, bool ready_only) {
  inference::RepositoryIndexResponse index;
  for (const auto& [model, served] : fleet.models) {
    const auto add = [&](const std::string& version, const FleetVersion& workers) {
      const std::string state(VersionState(workers));
      if (ready_only && state != "READY") return;
      auto* entry = index.add_models();
      entry->set_name(model);
      entry->set_version(version);
      entry->set_state(state);
      entry->set_reason(VersionReason(*served, workers));
    };
    for (const auto& [version, workers] : served->versions) add(version, *workers);
    // Known by the catalogue alone, and without a version there.
    if (served->versions.empty()) add("", FleetVersion());
  }
  return index;
}

absl::Status NotAllowed() {
  return absl::UnimplementedError(
      "this gateway does not load and unload models; --model-control lets it");
}

}  // namespace

InferenceFront::InferenceFront(const Snapshot<FleetSnapshot>& fleet, const BackendTable& backends,
                               const ModelCallsTable& calls, const Clock& clock)
    : fleet_(fleet), backends_(backends), calls_(calls), clock_(clock) {}

grpc::ServerUnaryReactor* InferenceFront::ServerLive(grpc::CallbackServerContext* context,
                                                     const inference::ServerLiveRequest*,
                                                     inference::ServerLiveResponse* response) {
  response->set_live(true);
  return Answer(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* InferenceFront::ServerReady(grpc::CallbackServerContext* context,
                                                      const inference::ServerReadyRequest*,
                                                      inference::ServerReadyResponse* response) {
  response->set_ready(fleet_.Get()->seen);
  return Answer(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* InferenceFront::ServerMetadata(
    grpc::CallbackServerContext* context, const inference::ServerMetadataRequest*,
    inference::ServerMetadataResponse* response) {
  response->set_name("torchfleet");
  response->set_version(kVersion);
  response->add_extensions("binary_tensor_data");
  response->add_extensions("model_configuration");
  response->add_extensions("statistics");
  return Answer(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* InferenceFront::ModelMetadata(grpc::CallbackServerContext* context,
                                                        const grpc::ByteBuffer* request,
                                                        grpc::ByteBuffer* response) {
  return Forward({context, request, response}, kModelMetadata);
}

grpc::ServerUnaryReactor* InferenceFront::ModelConfig(grpc::CallbackServerContext* context,
                                                      const grpc::ByteBuffer* request,
                                                      grpc::ByteBuffer* response) {
  return Forward({context, request, response}, "/inference.GRPCInferenceService/ModelConfig");
}

grpc::ServerUnaryReactor* InferenceFront::ModelStatistics(grpc::CallbackServerContext* context,
                                                          const grpc::ByteBuffer* request,
                                                          grpc::ByteBuffer* response) {
  const auto fleet = fleet_.Get();
  if (fleet->is_fixed()) {
    return Forward({context, request, response}, "/inference.GRPCInferenceService/ModelStatistics");
  }
  inference::ModelStatisticsRequest asked;
  if (const absl::Status parsed = ParseMessage(*request, asked); !parsed.ok()) {
    return Answer(context, parsed);
  }
  std::string model, version;  // none: all of them
  if (!asked.name().empty()) {
    const auto route = RoutePolicy::Choose(*fleet, asked.name(), asked.version());
    if (!route.ok()) return Answer(context, route.status());
    model = route->model;
    if (!asked.version().empty()) version = route->version;
  }
  auto* call = new StatisticsCall(WorkersOf(*fleet, model, version), backends_, response);
  call->Start();
  return call;
}

grpc::ServerUnaryReactor* InferenceFront::ModelReady(grpc::CallbackServerContext* context,
                                                     const grpc::ByteBuffer* request,
                                                     grpc::ByteBuffer* response) {
  const auto fleet = fleet_.Get();
  if (fleet->is_fixed()) {
    return Forward({context, request, response}, "/inference.GRPCInferenceService/ModelReady");
  }
  const auto head = ScanHead(*request);
  if (!head.ok()) return Answer(context, head.status());
  const auto route = RoutePolicy::Choose(*fleet, head->model_name, head->model_version);
  if (absl::IsInvalidArgument(route.status())) return Answer(context, route.status());
  inference::ModelReadyResponse ready;
  ready.set_ready(route.ok());
  WriteMessage(ready, *response);
  return Answer(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* InferenceFront::RepositoryIndex(grpc::CallbackServerContext* context,
                                                          const grpc::ByteBuffer* request,
                                                          grpc::ByteBuffer* response) {
  const auto fleet = fleet_.Get();
  if (fleet->is_fixed()) {
    return Begin({context, request, response},
                 {.method = "/inference.GRPCInferenceService/RepositoryIndex",
                  .model = {},
                  .fleet = fleet,
                  .route = {.model = {}, .version = {}, .addresses = fleet->fixed.ready},
                  .calls = calls_.Find({}),
                  .edit_reply = {}});
  }
  inference::RepositoryIndexRequest index_request;
  if (const absl::Status parsed = ParseMessage(*request, index_request); !parsed.ok()) {
    return Answer(context, parsed);
  }
  WriteMessage(Index(*fleet, index_request.ready()), *response);
  return Answer(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* InferenceFront::RepositoryModelLoad(
    grpc::CallbackServerContext* context, const inference::RepositoryModelLoadRequest* request,
    inference::RepositoryModelLoadResponse*) {
  if (!control_) return Answer(context, NotAllowed());
  if (const absl::Status name = RoutePolicy::CheckName(request->model_name(), ""); !name.ok()) {
    return Answer(context, name);
  }
  for (const auto& [name, value] : request->parameters()) {
    return Answer(context, absl::InvalidArgumentError(fmt::format(
                               "parameter '{}' is not offered; a model is loaded as its "
                               "repository has it",
                               Clip(name))));
  }
  return control_->Load(context, request->model_name());
}

grpc::ServerUnaryReactor* InferenceFront::RepositoryModelUnload(
    grpc::CallbackServerContext* context, const inference::RepositoryModelUnloadRequest* request,
    inference::RepositoryModelUnloadResponse*) {
  if (!control_) return Answer(context, NotAllowed());
  if (const absl::Status name = RoutePolicy::CheckName(request->model_name(), ""); !name.ok()) {
    return Answer(context, name);
  }
  return control_->Unload(context, request->model_name());
}

grpc::ServerUnaryReactor* InferenceFront::Forward(const IncomingCall& incoming,
                                                  const char* method) {
  auto fleet = fleet_.Get();
  const auto head = ScanHead(*incoming.request);
  const auto route = head.ok() ? RoutePolicy::Choose(*fleet, head->model_name, head->model_version)
                               : absl::StatusOr<Route>(head.status());
  auto calls = calls_.Find(head.ok() ? head->model_name : std::string());
  if (!route.ok()) return Answer(incoming.context, route.status());
  ForwardPlan plan{.method = method,
                   .model = head->model_name,
                   .fleet = fleet,
                   .route = *route,
                   .calls = std::move(calls),
                   .edit_reply = {}};
  if (method == kModelMetadata && !fleet->is_fixed()) {
    plan.edit_reply = [fleet, model = std::string(route->model)](grpc::ByteBuffer& reply) {
      return SetVersions(*fleet, model, reply);
    };
  }
  return Begin(incoming, std::move(plan));
}

grpc::ServerUnaryReactor* InferenceFront::Begin(const IncomingCall& incoming, ForwardPlan plan) {
  auto* call = new ForwardedCall(incoming, std::move(plan), backends_, clock_);
  call->Start();
  return call;
}

}  // namespace torchfleet::gateway
