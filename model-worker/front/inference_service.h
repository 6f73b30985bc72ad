#pragma once
// The worker's gRPC service: one model, called directly or by a gateway.
//
// Begins not ready: health and metadata answer, ModelInfer is UNAVAILABLE.
// Borrows everything in its context. Thread-safe.

#include <atomic>

#include "inference/grpc_service.grpc.pb.h"
#include "model-worker/front/infer_call.h"

namespace torchfleet::worker {

// Typed but for ModelInfer, whose bytes its call parses.
using InferenceMethods = inference::GRPCInferenceService::WithRawCallbackMethod_ModelInfer<
    inference::GRPCInferenceService::CallbackService>;

class InferenceService : public InferenceMethods {
 public:
  InferenceService(InferCall::Context context, const inference::ModelConfig& config)
      : context_(context), config_(config) {}

  // Whether health says ready: true once the model is loaded, false when the
  // worker drains. Calls are taken until the context's open calls are closed.
  void SetReady(bool ready) { ready_ = ready; }
  // OK, or UNAVAILABLE with what is awaited.
  absl::Status Ready() const {
    if (ready_) return absl::OkStatus();
    return absl::UnavailableError(loaded_ ? "the worker drains" : "the model is being loaded");
  }
  // From here on calls are queued.
  void SetLoaded() { loaded_ = true; }

  grpc::ServerUnaryReactor* ServerLive(grpc::CallbackServerContext*,
                                       const inference::ServerLiveRequest*,
                                       inference::ServerLiveResponse*) override;
  grpc::ServerUnaryReactor* ServerReady(grpc::CallbackServerContext*,
                                        const inference::ServerReadyRequest*,
                                        inference::ServerReadyResponse*) override;
  grpc::ServerUnaryReactor* ModelReady(grpc::CallbackServerContext*,
                                       const inference::ModelReadyRequest*,
                                       inference::ModelReadyResponse*) override;
  grpc::ServerUnaryReactor* ServerMetadata(grpc::CallbackServerContext*,
                                           const inference::ServerMetadataRequest*,
                                           inference::ServerMetadataResponse*) override;
  grpc::ServerUnaryReactor* ModelMetadata(grpc::CallbackServerContext*,
                                          const inference::ModelMetadataRequest*,
                                          inference::ModelMetadataResponse*) override;
  grpc::ServerUnaryReactor* ModelConfig(grpc::CallbackServerContext*,
                                        const inference::ModelConfigRequest*,
                                        inference::ModelConfigResponse*) override;
  grpc::ServerUnaryReactor* ModelStatistics(grpc::CallbackServerContext*,
                                            const inference::ModelStatisticsRequest*,
                                            inference::ModelStatisticsResponse*) override;
  grpc::ServerUnaryReactor* RepositoryIndex(grpc::CallbackServerContext*,
                                            const inference::RepositoryIndexRequest*,
                                            inference::RepositoryIndexResponse*) override;
  grpc::ServerUnaryReactor* ModelInfer(grpc::CallbackServerContext*, const grpc::ByteBuffer*,
                                       grpc::ByteBuffer*) override;

 private:
  // NOT_FOUND unless it is this worker's; empty stands for any.
  absl::Status CheckModel(const std::string& name, const std::string& version) const;

  const InferCall::Context context_;
  const inference::ModelConfig& config_;
  std::atomic<bool> ready_ = false;
  std::atomic<bool> loaded_ = false;
};

}  // namespace torchfleet::worker
