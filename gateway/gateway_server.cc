#include "gateway/gateway_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/status.h"

namespace torchfleet::gateway {
namespace {

std::map<std::string, uint64_t> Epochs(const FleetSnapshot& fleet) {
  std::map<std::string, uint64_t> epochs;
  for (const std::string& address : fleet.fixed.ready) epochs[address] = 0;
  for (const auto& [name, model] : fleet.models) {
    for (const auto& [number, version] : model.versions) {
      for (const auto& endpoint : version.endpoints) {
        uint64_t& epoch = epochs[endpoint.worker().address()];
        epoch = std::max(epoch, endpoint.epoch());
      }
    }
  }
  return epochs;
}

absl::Status CheckAddress(const char* what, const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon != std::string::npos && colon > 0 && colon + 1 < address.size()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      fmt::format("the {}'s address is '{}'; expected host:port", what, Clip(address)));
}

}  // namespace

GatewayServer::GatewayServer(size_t loops)
    : backends_(loops), calls_(clock_.Now(), loops), front_(fleet_, backends_, calls_, clock_) {}

absl::StatusOr<std::unique_ptr<GatewayServer>> GatewayServer::Start(const GatewayOptions& options) {
  RETURN_IF_ERROR(options.worker.empty() ? CheckAddress("registry", options.registry)
                                         : CheckAddress("worker", options.worker));
  if (options.tls.certificate.empty() != options.tls.key.empty() ||
      (!options.tls.client_ca.empty() && options.tls.certificate.empty())) {
    return absl::InvalidArgumentError(
        "--tls-certificate and --tls-key go together, and --tls-client-ca with them");
  }
  if (options.threads < 0) {
    return absl::InvalidArgumentError(fmt::format(
        "--threads is {}; expected a number from 1, or 0 for one a core", options.threads));
  }
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const int threads = options.threads == 0 ? cores : options.threads;
  auto gateway = std::unique_ptr<GatewayServer>(new GatewayServer(static_cast<size_t>(threads)));
  ASSIGN_OR_RETURN(gateway->operators_, OperatorServer::Start(options.operator_listen));
  ASSIGN_OR_RETURN(
      gateway->edge_,
      Edge::Start(
          {.listen = options.listen,
           .threads = threads,
           .allowed_origins = options.allowed_origins,
           .tls = options.tls.certificate.empty() ? std::nullopt : std::optional(options.tls),
           .access_log = options.access_log},
          {&gateway->front_},
          {gateway->fleet_, gateway->backends_, gateway->calls_, gateway->quarantine_}));
  const std::atomic<bool>* connected = &gateway->registry_connected_;
  if (options.worker.empty()) {
    auto* self = gateway.get();
    gateway->follower_ = std::make_unique<FleetFollower>(
        options.registry, gateway->clock_,
        [self](FleetSnapshot fleet) { self->Publish(std::move(fleet)); });
    connected = &gateway->follower_->connected();
    gateway->follower_->Start();
  } else {
    gateway->Publish(FleetSnapshot::ForWorker(options.worker));
  }
  gateway->watch_.Start();
  gateway->metrics_ =
      std::make_shared<GatewayMetrics>(gateway->calls_, gateway->fleet_, *connected);
  gateway->operators_->Register(gateway->metrics_);
  gateway->operators_->Show("/quarantine", [self = gateway.get()] {
    return self->quarantine_.ToJson(self->clock_.Now());
  });
  gateway->operators_->SetReadiness([self = gateway.get()] { return self->Ready(); });
  return gateway;
}

GatewayServer::~GatewayServer() {
  // The front end first: nothing below it may vanish while a call runs.
  if (edge_) Drain(absl::ZeroDuration());
  if (follower_) follower_->Stop();
  operators_.reset();
}

void GatewayServer::Drain(absl::Duration deadline) {
  {
    const std::lock_guard lock(serving_mu_);
    draining_ = true;
    edge_->control().SetServing(false);
    edge_->control().SetServing(InferenceService::service_full_name(), false);
  }
  edge_->Drain(deadline);
}

void GatewayServer::Publish(FleetSnapshot fleet) {
  std::set<std::string> models;
  for (const auto& [name, model] : fleet.models) models.insert(name);
  calls_.Add(models, clock_.Now());
  // Before the snapshot, so that whatever a call is routed to is there.
  backends_.Update(Epochs(fleet), clock_.Now());
  fleet_.Set(std::move(fleet));
  SetServing();
}

absl::Status GatewayServer::Ready() {
  const std::lock_guard lock(serving_mu_);
  if (draining_) return absl::UnavailableError("the gateway drains");
  if (!fleet_.Get()->seen) return absl::UnavailableError("the registry has not been heard yet");
  return absl::OkStatus();
}

void GatewayServer::SetServing() {
  const std::lock_guard lock(serving_mu_);
  if (draining_) return;
  edge_->control().SetServing(true);
  edge_->control().SetServing(InferenceService::service_full_name(), true);
}

}  // namespace torchfleet::gateway
