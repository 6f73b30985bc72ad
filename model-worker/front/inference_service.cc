#include "model-worker/front/inference_service.h"

#include <fmt/format.h>

#include <tuple>

#include "base/grpc_status.h"
#include "base/status.h"
#include "base/version.h"
#include "wire/caller.h"

namespace torchfleet::worker {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

ServerUnaryReactor* Finish(CallbackServerContext* call, const absl::Status& status) {
  ServerUnaryReactor* reactor = call->DefaultReactor();
  reactor->Finish(ToGrpc(status));
  return reactor;
}

template <typename Tensors>
void Describe(const std::vector<TensorSpec>& specs, Tensors* tensors) {
  for (const TensorSpec& spec : specs) {
    auto* tensor = tensors->Add();
    tensor->set_name(spec.name);
    tensor->set_datatype(std::string(wire::DataTypeName(spec.type)));
    tensor->mutable_shape()->Add(spec.shape.begin(), spec.shape.end());
  }
}

void Fill(const ModelStatistics::Duration& from, inference::StatisticDuration* to) {
  to->set_count(from.count.load(std::memory_order_relaxed));
  to->set_ns(from.nanoseconds.load(std::memory_order_relaxed));
}

void Fill(uint64_t count, absl::Duration duration, inference::StatisticDuration* to) {
  to->set_count(count);
  to->set_ns(static_cast<uint64_t>(absl::ToInt64Nanoseconds(duration)));
}

}  // namespace

absl::Status InferenceService::CheckModel(const CallbackServerContext& call, const ModelSpec& spec,
                                          std::string_view name, std::string_view version) {
  if (const auto route = call.client_metadata().find(wire::kRouteHeader);
      route != call.client_metadata().end()) {
    std::tie(name, version) = wire::ParseRoute({route->second.data(), route->second.size()});
  }
  if (name == spec.name && (version.empty() || version == spec.version)) return absl::OkStatus();
  return absl::NotFoundError(
      fmt::format("model '{}' version '{}' is not here; this worker serves "
                  "'{}' version {}",
                  Clip(name), Clip(version), spec.name, spec.version));
}

ServerUnaryReactor* InferenceService::ServerLive(CallbackServerContext* call,
                                                 const inference::ServerLiveRequest*,
                                                 inference::ServerLiveResponse* response) {
  response->set_live(true);
  return Finish(call, absl::OkStatus());
}

ServerUnaryReactor* InferenceService::ServerReady(CallbackServerContext* call,
                                                  const inference::ServerReadyRequest*,
                                                  inference::ServerReadyResponse* response) {
  response->set_ready(readiness_.ready());
  return Finish(call, absl::OkStatus());
}

ServerUnaryReactor* InferenceService::ModelReady(CallbackServerContext* call,
                                                 const inference::ModelReadyRequest* request,
                                                 inference::ModelReadyResponse* response) {
  const auto engine = engine_.Get();
  response->set_ready(readiness_.ready() &&
                      CheckModel(*call, engine->spec(), request->name(), request->version()).ok());
  return Finish(call, absl::OkStatus());
}

ServerUnaryReactor* InferenceService::ServerMetadata(CallbackServerContext* call,
                                                     const inference::ServerMetadataRequest*,
                                                     inference::ServerMetadataResponse* response) {
  response->set_name("torchfleet");
  response->set_version(kVersion);
  for (const char* extension :
       {"model_configuration", "parameters", "schedule_policy", "statistics"}) {
    response->add_extensions(extension);
  }
  return Finish(call, absl::OkStatus());
}

ServerUnaryReactor* InferenceService::ModelMetadata(CallbackServerContext* call,
                                                    const inference::ModelMetadataRequest* request,
                                                    inference::ModelMetadataResponse* response) {
  const auto engine = engine_.Get();
  const ModelSpec& spec = engine->spec();
  const absl::Status status = CheckModel(*call, spec, request->name(), request->version());
  if (!status.ok()) return Finish(call, status);
  response->set_name(spec.name);
  response->add_versions(spec.version);
  response->set_platform(spec.platform);
  Describe(spec.inputs, response->mutable_inputs());
  Describe(spec.outputs, response->mutable_outputs());
  return Finish(call, absl::OkStatus());
}

ServerUnaryReactor* InferenceService::ModelConfig(CallbackServerContext* call,
                                                  const inference::ModelConfigRequest* request,
                                                  inference::ModelConfigResponse* response) {
  const auto engine = engine_.Get();
  const absl::Status status =
      CheckModel(*call, engine->spec(), request->name(), request->version());
  if (status.ok()) *response->mutable_config() = engine->model().config;
  return Finish(call, status);
}

ServerUnaryReactor* InferenceService::ModelStatistics(
    CallbackServerContext* call, const inference::ModelStatisticsRequest* request,
    inference::ModelStatisticsResponse* response) {
  const auto engine = engine_.Get();
  const ModelSpec& spec = engine->spec();
  const std::string& name = request->name().empty() ? spec.name : request->name();
  const absl::Status status = CheckModel(*call, spec, name, request->version());
  if (!status.ok()) return Finish(call, status);
  auto* model = response->add_model_stats();
  model->set_name(spec.name);
  model->set_version(spec.version);
  model->set_last_inference(statistics_.last_ms.load(std::memory_order_relaxed));
  model->set_inference_count(statistics_.rows_answered.load(std::memory_order_relaxed));
  auto* stages = model->mutable_inference_stats();
  Fill(statistics_.success, stages->mutable_success());
  Fill(statistics_.fail, stages->mutable_fail());
  Fill(statistics_.queue, stages->mutable_queue());
  Fill(statistics_.input, stages->mutable_compute_input());
  Fill(statistics_.infer, stages->mutable_compute_infer());
  Fill(statistics_.output, stages->mutable_compute_output());
  uint64_t executions = 0;
  for (const auto& [rows, size] : executions_.figures().sizes) {
    executions += size.count;
    auto* batch = model->add_batch_stats();
    batch->set_batch_size(static_cast<uint64_t>(rows));
    Fill(size.count, size.input, batch->mutable_compute_input());
    Fill(size.count, size.infer, batch->mutable_compute_infer());
    Fill(size.count, size.output, batch->mutable_compute_output());
  }
  model->set_execution_count(executions);
  return Finish(call, absl::OkStatus());
}

ServerUnaryReactor* InferenceService::RepositoryIndex(
    CallbackServerContext* call, const inference::RepositoryIndexRequest* request,
    inference::RepositoryIndexResponse* response) {
  if (readiness_.ready() || !request->ready()) {
    const auto engine = engine_.Get();
    auto* model = response->add_models();
    model->set_name(engine->spec().name);
    model->set_version(engine->spec().version);
    model->set_state(readiness_.ready() ? "READY" : readiness_.loaded() ? "UNLOADING" : "LOADING");
    model->set_reason(reloader_.last_failure());
  }
  return Finish(call, absl::OkStatus());
}

ServerUnaryReactor* InferenceService::RepositoryModelLoad(
    CallbackServerContext* call, const inference::RepositoryModelLoadRequest* request,
    inference::RepositoryModelLoadResponse*) {
  const auto engine = engine_.Get();
  const absl::Status status = CheckModel(*call, engine->spec(), request->model_name(), "");
  if (!status.ok()) return Finish(call, status);
  for (const auto& [name, value] : request->parameters()) {
    return Finish(call, absl::InvalidArgumentError(fmt::format(
                            "parameter '{}' is not offered; a worker loads what its repository has",
                            Clip(name))));
  }
  ServerUnaryReactor* reactor = call->DefaultReactor();
  reloader_.Ask([reactor](const absl::Status& loaded) { reactor->Finish(ToGrpc(loaded)); });
  return reactor;
}

}  // namespace torchfleet::worker
