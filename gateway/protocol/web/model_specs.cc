#include "gateway/protocol/web/model_specs.h"

#include <algorithm>

#include "base/status.h"
#include "gateway/route/route_policy.h"

namespace torchfleet::gateway {
namespace {

template <typename Tensors>
std::vector<rest::TensorSpec> TensorSpecs(const Tensors& tensors) {
  std::vector<rest::TensorSpec> specs;
  for (const auto& tensor : tensors) {
    const auto datatype = wire::ParseDataType(tensor.datatype());
    if (!datatype) continue;
    specs.push_back({.name = tensor.name(),
                     .datatype = *datatype,
                     .shape = {tensor.shape().begin(), tensor.shape().end()}});
  }
  return specs;
}

template <typename Described>
rest::ModelSpec Spec(const std::string& name, const Described& model) {
  return {.name = name,
          .versions = {},
          .platform = model.platform(),
          .inputs = TensorSpecs(model.inputs()),
          .outputs = TensorSpecs(model.outputs())};
}

}  // namespace

rest::ModelSpec SpecOf(const inference::ModelMetadataResponse& metadata) {
  rest::ModelSpec spec = Spec(metadata.name(), metadata);
  spec.versions.assign(metadata.versions().begin(), metadata.versions().end());
  return spec;
}

absl::StatusOr<const rest::ModelSpec*> ModelSpecs::Find(
    const std::shared_ptr<const FleetSnapshot>& fleet, const std::string& model,
    const std::string& version, const CallTraits& call) {
  if (fleet != fleet_) {
    specs_.clear();
    fleet_ = fleet;
  }
  ASSIGN_OR_RETURN(const Route route, RoutePolicy::Choose(*fleet, model, version, call));
  const std::array key{model, std::string(route.model), std::string(route.version)};
  const auto known = specs_.find(key);
  if (known != specs_.end()) return &known->second;
  const auto& endpoints = (*route.of)->endpoints;
  const auto ready = std::find_if(endpoints.begin(), endpoints.end(), [](const auto& endpoint) {
    return endpoint.second->state() == registry::v1::WORKER_STATE_READY;
  });
  if (ready == endpoints.end()) return absl::UnavailableError("no worker of the model is ready");
  rest::ModelSpec& spec = specs_[key];
  spec = Spec(model, ready->second->worker());
  spec.versions = fleet->ReadyVersions(route.model);
  return &spec;
}

}  // namespace torchfleet::gateway
