#include "model-worker/front/inference_service.h"

#include <fmt/format.h>

#include "base/grpc_status.h"
#include "base/status.h"
#include "base/version.h"

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

}  // namespace

absl::Status InferenceService::CheckModel(const std::string& name,
                                          const std::string& version) const {
  if (name == spec_.name && (version.empty() || version == spec_.version)) return absl::OkStatus();
  return absl::NotFoundError(
      fmt::format("model '{}' version '{}' is not here; this worker serves "
                  "'{}' version {}",
                  Clip(name), Clip(version), spec_.name, spec_.version));
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
  response->set_ready(readiness_.ready() && CheckModel(request->name(), request->version()).ok());
  return Finish(call, absl::OkStatus());
}

ServerUnaryReactor* InferenceService::ServerMetadata(CallbackServerContext* call,
                                                     const inference::ServerMetadataRequest*,
                                                     inference::ServerMetadataResponse* response) {
  response->set_name("torchfleet");
  response->set_version(kVersion);
  for (const char* extension : {"model_configuration", "statistics"}) {
    response->add_extensions(extension);
  }
  return Finish(call, absl::OkStatus());
}

ServerUnaryReactor* InferenceService::ModelMetadata(CallbackServerContext* call,
                                                    const inference::ModelMetadataRequest* request,
                                                    inference::ModelMetadataResponse* response) {
  const absl::Status status = CheckModel(request->name(), request->version());
  if (!status.ok()) return Finish(call, status);
  response->set_name(spec_.name);
  response->add_versions(spec_.version);
  response->set_platform(spec_.platform);
  Describe(spec_.inputs, response->mutable_inputs());
  Describe(spec_.outputs, response->mutable_outputs());
  return Finish(call, absl::OkStatus());
}

ServerUnaryReactor* InferenceService::ModelConfig(CallbackServerContext* call,
                                                  const inference::ModelConfigRequest* request,
                                                  inference::ModelConfigResponse* response) {
  const absl::Status status = CheckModel(request->name(), request->version());
  if (status.ok()) *response->mutable_config() = config_;
  return Finish(call, status);
}

ServerUnaryReactor* InferenceService::ModelStatistics(
    CallbackServerContext* call, const inference::ModelStatisticsRequest* request,
    inference::ModelStatisticsResponse* response) {
  const std::string& name = request->name().empty() ? spec_.name : request->name();
  const absl::Status status = CheckModel(name, request->version());
  if (!status.ok()) return Finish(call, status);
  auto* model = response->add_model_stats();
  model->set_name(spec_.name);
  model->set_version(spec_.version);
  model->set_last_inference(statistics_.last_ms.load(std::memory_order_relaxed));
  model->set_inference_count(statistics_.rows_answered.load(std::memory_order_relaxed));
  model->set_execution_count(statistics_.executions.load(std::memory_order_relaxed));
  auto* stages = model->mutable_inference_stats();
  Fill(statistics_.success, stages->mutable_success());
  Fill(statistics_.fail, stages->mutable_fail());
  Fill(statistics_.queue, stages->mutable_queue());
  Fill(statistics_.compute, stages->mutable_compute_infer());
  // Inputs go to the model where they lie, and its outputs' time is in the model's;
  // tools that read these want as many of them.
  const uint64_t computed = stages->compute_infer().count();
  stages->mutable_compute_input()->set_count(computed);
  stages->mutable_compute_output()->set_count(computed);
  return Finish(call, absl::OkStatus());
}

ServerUnaryReactor* InferenceService::RepositoryIndex(
    CallbackServerContext* call, const inference::RepositoryIndexRequest* request,
    inference::RepositoryIndexResponse* response) {
  if (readiness_.ready() || !request->ready()) {
    auto* model = response->add_models();
    model->set_name(spec_.name);
    model->set_version(spec_.version);
    model->set_state(readiness_.ready() ? "READY" : readiness_.loaded() ? "UNLOADING" : "LOADING");
  }
  return Finish(call, absl::OkStatus());
}

}  // namespace torchfleet::worker
