#pragma once
// What a worker answers of itself; inference is not among it.
//
// Borrows everything it is given. Thread-safe.

#include "base/snapshot.h"
#include "inference/grpc_service.grpc.pb.h"
#include "model-worker/engine.h"
#include "model-worker/execute/execution_statistics.h"
#include "model-worker/front/model_statistics.h"
#include "model-worker/front/readiness.h"
#include "model-worker/reload/reloader.h"

namespace torchfleet::worker {

class InferenceService : public inference::GRPCInferenceService::CallbackService {
 public:
  InferenceService(const Snapshot<Engine>& engine,
                   const torchfleet::worker::ModelStatistics& statistics,
                   const ExecutionStatistics& executions, const Readiness& readiness,
                   Reloader& reloader)
      : engine_(engine),
        statistics_(statistics),
        executions_(executions),
        readiness_(readiness),
        reloader_(reloader) {}

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
  // Loads the worker's own model anew. Unloading is the fleet's matter.
  grpc::ServerUnaryReactor* RepositoryModelLoad(grpc::CallbackServerContext*,
                                                const inference::RepositoryModelLoadRequest*,
                                                inference::RepositoryModelLoadResponse*) override;

 private:
  // NOT_FOUND unless it is this worker's, or a gateway sent it here all the same;
  // an empty version stands for any.
  static absl::Status CheckModel(const grpc::CallbackServerContext& call, const ModelSpec& spec,
                                 std::string_view name, std::string_view version);

  const Snapshot<Engine>& engine_;
  const torchfleet::worker::ModelStatistics& statistics_;
  const ExecutionStatistics& executions_;
  const Readiness& readiness_;
  Reloader& reloader_;
};

}  // namespace torchfleet::worker
