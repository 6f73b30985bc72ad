#include "registry/catalogue/catalogue_service.h"

#include <atomic>
#include <memory>
#include <utility>

#include "base/grpc_status.h"

namespace torchfleet::registry {
namespace {

// One call: finished by its answer or by its end, whichever comes first.
template <typename Response>
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  explicit UnaryCall(Response* response) : response_(response) {}

  // It keeps itself until gRPC is done with it, its answer keeps it too.
  template <typename Request>
  static grpc::ServerUnaryReactor* Serve(Catalogue& catalogue, grpc::CallbackServerContext& context,
                                         const Request& request, Response* response) {
    const auto call = std::make_shared<UnaryCall>(response);
    call->self_ = call;
    catalogue.Call(Signed(request, context),
                   [call](absl::StatusOr<Response> answer) { call->End(std::move(answer)); });
    return call.get();
  }

 private:
  // With who asks: by their own word, or by their address.
  template <typename Request>
  static Request Signed(Request request, const grpc::CallbackServerContext& context) {
    if constexpr (requires { request.actor(); }) {
      if (request.actor().empty()) request.set_actor(context.peer());
    }
    return request;
  }

  void End(absl::StatusOr<Response> answer) {
    if (ended_.exchange(true)) return;
    if (answer.ok()) *response_ = *std::move(answer);
    Finish(ToGrpc(answer.status()));
  }
  void OnCancel() override { End(absl::CancelledError("the call was cancelled")); }
  void OnDone() override { self_.reset(); }

  // gRPC's, until Finish.
  Response* const response_;
  std::atomic<bool> ended_ = false;
  std::shared_ptr<UnaryCall> self_;
};

}  // namespace

grpc::ServerUnaryReactor* CatalogueService::CreateModel(grpc::CallbackServerContext* context,
                                                        const v1::CreateModelRequest* request,
                                                        v1::CreateModelResponse* response) {
  return UnaryCall<v1::CreateModelResponse>::Serve(catalogue_, *context, *request, response);
}

grpc::ServerUnaryReactor* CatalogueService::GetModel(grpc::CallbackServerContext* context,
                                                     const v1::GetModelRequest* request,
                                                     v1::GetModelResponse* response) {
  return UnaryCall<v1::GetModelResponse>::Serve(catalogue_, *context, *request, response);
}

grpc::ServerUnaryReactor* CatalogueService::ListModels(grpc::CallbackServerContext* context,
                                                       const v1::ListModelsRequest* request,
                                                       v1::ListModelsResponse* response) {
  return UnaryCall<v1::ListModelsResponse>::Serve(catalogue_, *context, *request, response);
}

grpc::ServerUnaryReactor* CatalogueService::UpdateModel(grpc::CallbackServerContext* context,
                                                        const v1::UpdateModelRequest* request,
                                                        v1::UpdateModelResponse* response) {
  return UnaryCall<v1::UpdateModelResponse>::Serve(catalogue_, *context, *request, response);
}

grpc::ServerUnaryReactor* CatalogueService::DeleteModel(grpc::CallbackServerContext* context,
                                                        const v1::DeleteModelRequest* request,
                                                        v1::DeleteModelResponse* response) {
  return UnaryCall<v1::DeleteModelResponse>::Serve(catalogue_, *context, *request, response);
}

grpc::ServerUnaryReactor* CatalogueService::SetRoute(grpc::CallbackServerContext* context,
                                                     const v1::SetRouteRequest* request,
                                                     v1::SetRouteResponse* response) {
  return UnaryCall<v1::SetRouteResponse>::Serve(catalogue_, *context, *request, response);
}

grpc::ServerUnaryReactor* CatalogueService::GetRoute(grpc::CallbackServerContext* context,
                                                     const v1::GetRouteRequest* request,
                                                     v1::GetRouteResponse* response) {
  return UnaryCall<v1::GetRouteResponse>::Serve(catalogue_, *context, *request, response);
}

grpc::ServerUnaryReactor* CatalogueService::ListRoutes(grpc::CallbackServerContext* context,
                                                       const v1::ListRoutesRequest* request,
                                                       v1::ListRoutesResponse* response) {
  return UnaryCall<v1::ListRoutesResponse>::Serve(catalogue_, *context, *request, response);
}

grpc::ServerUnaryReactor* CatalogueService::DeleteRoute(grpc::CallbackServerContext* context,
                                                        const v1::DeleteRouteRequest* request,
                                                        v1::DeleteRouteResponse* response) {
  return UnaryCall<v1::DeleteRouteResponse>::Serve(catalogue_, *context, *request, response);
}

grpc::ServerUnaryReactor* CatalogueService::ListChanges(grpc::CallbackServerContext* context,
                                                        const v1::ListChangesRequest* request,
                                                        v1::ListChangesResponse* response) {
  return UnaryCall<v1::ListChangesResponse>::Serve(catalogue_, *context, *request, response);
}

}  // namespace torchfleet::registry
