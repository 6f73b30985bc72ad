#include "gateway/edge/model_control.h"

#include <random>

#include "gateway/edge/model_control_call.h"

namespace torchfleet::gateway {
namespace {

grpc::ServerUnaryReactor* Begin(ModelControl& control, grpc::CallbackServerContext* context,
                                ModelControlCall::Wish wish, const std::string& model) {
  auto* call = new ModelControlCall(control, *context, wish, model);
  call->Start();
  return call;
}

}  // namespace

ModelControl::ModelControl(const std::string& registry_addresses,
                           const Snapshot<FleetSnapshot>& fleet, const BackendTable& backends)
    : fleet_(fleet), backends_(backends), registry_(registry_addresses, std::random_device{}()) {}

grpc::ServerUnaryReactor* ModelControl::Load(grpc::CallbackServerContext* context,
                                             const std::string& model) {
  return Begin(*this, context, ModelControlCall::Wish::kLoad, model);
}

grpc::ServerUnaryReactor* ModelControl::Unload(grpc::CallbackServerContext* context,
                                               const std::string& model) {
  return Begin(*this, context, ModelControlCall::Wish::kUnload, model);
}

std::shared_ptr<grpc::Channel> ModelControl::Channel() {
  const std::lock_guard lock(mu_);
  return registry_.Get();
}

void ModelControl::Failed(const std::shared_ptr<grpc::Channel>& channel) {
  const std::lock_guard lock(mu_);
  if (registry_.Get() == channel) registry_.Failed();
}

}  // namespace torchfleet::gateway
