#pragma once
// The Open Inference service but for ModelInfer and ModelStreamInfer, which the
// edge forwards itself.
//
// Calls that a worker must answer (ModelMetadata, ModelConfig) are routed by the model's name and
// version, read from the raw request, and forwarded as they came; statistics are every replica's,
// added up. Calls about the fleet are answered from the snapshot. Before one fixed worker, which
// alone knows what it serves, ModelReady and RepositoryIndex are forwarded too. Loading and
// unloading are ModelControl's, where it is allowed. The rest of the service is UNIMPLEMENTED.
//
// Borrows the fleet, the backends, the counters and the clock; all outlive the
// server this is registered with. Thread-safe, never blocks.

#include <grpcpp/grpcpp.h>

#include <memory>

#include "base/clock.h"
#include "base/snapshot.h"
#include "gateway/discover/fleet_snapshot.h"
#include "gateway/edge/model_control.h"
#include "gateway/forward/backend.h"
#include "gateway/forward/forwarded_call.h"
#include "gateway/forward/model_calls.h"
#include "inference/grpc_service.grpc.pb.h"

namespace torchfleet::gateway {

using InferenceService = inference::GRPCInferenceService;

// Which methods come typed and which as bytes.
using TypedMethods = InferenceService::WithCallbackMethod_ServerLive<
    InferenceService::WithCallbackMethod_ServerReady<
        InferenceService::WithCallbackMethod_ServerMetadata<
            InferenceService::WithCallbackMethod_RepositoryModelLoad<
                InferenceService::WithCallbackMethod_RepositoryModelUnload<
                    InferenceService::Service>>>>>;
using FrontMethods = InferenceService::WithRawCallbackMethod_ModelMetadata<
    InferenceService::WithRawCallbackMethod_ModelConfig<
        InferenceService::WithRawCallbackMethod_ModelStatistics<
            InferenceService::WithRawCallbackMethod_ModelReady<
                InferenceService::WithRawCallbackMethod_RepositoryIndex<TypedMethods>>>>>;

class InferenceFront final : public FrontMethods {
 public:
  InferenceFront(const Snapshot<FleetSnapshot>& fleet, const BackendTable& backends,
                 const ModelCallsTable& calls, const Clock& clock);

  // Before the first call: callers may load and unload models. Borrowed.
  void Allow(ModelControl& control) { control_ = &control; }

  grpc::ServerUnaryReactor* ServerLive(grpc::CallbackServerContext* context,
                                       const inference::ServerLiveRequest* request,
                                       inference::ServerLiveResponse* response) override;
  grpc::ServerUnaryReactor* ServerReady(grpc::CallbackServerContext* context,
                                        const inference::ServerReadyRequest* request,
                                        inference::ServerReadyResponse* response) override;
  grpc::ServerUnaryReactor* ServerMetadata(grpc::CallbackServerContext* context,
                                           const inference::ServerMetadataRequest* request,
                                           inference::ServerMetadataResponse* response) override;

  grpc::ServerUnaryReactor* ModelMetadata(grpc::CallbackServerContext* context,
                                          const grpc::ByteBuffer* request,
                                          grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* ModelConfig(grpc::CallbackServerContext* context,
                                        const grpc::ByteBuffer* request,
                                        grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* ModelStatistics(grpc::CallbackServerContext* context,
                                            const grpc::ByteBuffer* request,
                                            grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* ModelReady(grpc::CallbackServerContext* context,
                                       const grpc::ByteBuffer* request,
                                       grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* RepositoryIndex(grpc::CallbackServerContext* context,
                                            const grpc::ByteBuffer* request,
                                            grpc::ByteBuffer* response) override;

  grpc::ServerUnaryReactor* RepositoryModelLoad(
      grpc::CallbackServerContext* context, const inference::RepositoryModelLoadRequest* request,
      inference::RepositoryModelLoadResponse* response) override;
  grpc::ServerUnaryReactor* RepositoryModelUnload(
      grpc::CallbackServerContext* context, const inference::RepositoryModelUnloadRequest* request,
      inference::RepositoryModelUnloadResponse* response) override;

 private:
  // Routes by the request's name and version and begins the call.
  grpc::ServerUnaryReactor* Forward(const IncomingCall& incoming, const char* method);
  grpc::ServerUnaryReactor* Begin(const IncomingCall& incoming, ForwardPlan plan);

  const Snapshot<FleetSnapshot>& fleet_;
  const BackendTable& backends_;
  const ModelCallsTable& calls_;
  const Clock& clock_;
  ModelControl* control_ = nullptr;
};

}  // namespace torchfleet::gateway
