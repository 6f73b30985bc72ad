#include "gateway/gateway_server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "gateway/discover/fleet_age.h"
#include "gateway/metrics/canary_metrics.h"
#include "gateway/metrics/quarantine_page.h"
#include "gateway/metrics/worker_metrics.h"
#include "gateway/metrics/workers_page.h"
#include "registry/client/registry_channel.h"

namespace torchfleet::gateway {
namespace {

// So that a probe need not wait for a scrape of thousands of workers.
constexpr int kOperatorThreads = 2;

absl::Status CheckWorker(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon != std::string::npos && colon > 0 && colon + 1 < address.size()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      fmt::format("the worker's address is '{}'; expected host:port", Clip(address)));
}

// As the audit trail of the catalogue names it; `address`: as bound.
std::string Actor(const std::string& address) {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  return fmt::format("gateway {}{}", host.data(), address.substr(address.rfind(':')));
}

}  // namespace

GatewayServer::GatewayServer(size_t loops)
    : backends_(loops),
      calls_(clock_.Now(), loops),
      trials_(loops),
      front_(fleet_, backends_, calls_, clock_) {}

absl::StatusOr<std::unique_ptr<GatewayServer>> GatewayServer::Start(const GatewayOptions& options) {
  RETURN_IF_ERROR(options.worker.empty() ? registry::ParseAddresses(options.registry).status()
                                         : CheckWorker(options.worker));
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
  ASSIGN_OR_RETURN(gateway->operators_,
                   OperatorServer::Start(options.operator_listen, kOperatorThreads));
  if (options.model_control && options.worker.empty()) {
    gateway->control_ =
        std::make_unique<ModelControl>(options.registry, gateway->fleet_, gateway->backends_);
    gateway->front_.Allow(*gateway->control_);
  }
  ASSIGN_OR_RETURN(gateway->edge_,
                   Edge::Start({.listen = options.listen,
                                .threads = threads,
                                .allowed_origins = options.allowed_origins,
                                .tls = options.tls.certificate.empty() ? std::nullopt
                                                                       : std::optional(options.tls),
                                .access_log = options.access_log},
                               {&gateway->front_},
                               {gateway->fleet_, gateway->backends_, gateway->calls_,
                                gateway->quarantine_, gateway->trials_, options.zone}));
  const std::atomic<bool>* connected = &gateway->registry_connected_;
  if (options.worker.empty()) {
    auto* self = gateway.get();
    gateway->follower_ = std::make_unique<FleetFollower>(
        FleetFollower::Options{options.registry, options.fleet_file}, gateway->clock_,
        [self](const FleetSnapshot& fleet, const FleetChange& change) {
          self->Publish(fleet, change);
        });
    connected = &gateway->follower_->connected();
    gateway->operators_->Register(std::make_shared<FleetAge>(gateway->follower_->known_at()));
    gateway->follower_->Start();
    gateway->operators_->Register(std::make_shared<CanaryMetrics>(gateway->trials_));
    gateway->canaries_ = std::make_unique<CanaryWatch>(
        options.registry, Actor(gateway->edge_->address()), gateway->trials_, gateway->clock_);
    gateway->canaries_->Start();
  } else {
    gateway->Publish(FleetSnapshot::ForWorker(options.worker),
                     {.addresses = {{options.worker, 0}}});
  }
  gateway->watch_.Start();
  gateway->metrics_ =
      std::make_shared<GatewayMetrics>(gateway->calls_, gateway->fleet_, *connected);
  gateway->operators_->Register(gateway->metrics_);
  gateway->ShowWorkers();
  gateway->operators_->SetReadiness([self = gateway.get()] { return self->Ready(); });
  return gateway;
}

void GatewayServer::ShowWorkers() {
  operators_->Register(std::make_shared<WorkerMetrics>(fleet_, backends_, clock_));
  operators_->AddPage("/workers$", [this](const OperatorRequest&) {
    return OperatorAnswer{
        .type = "application/json; charset=utf-8",
        .body = WorkersPage(*fleet_.Get(), *backends_.Get(), *calls_.All(), clock_.Now())};
  });
  operators_->AddPage("/quarantine", [this](const OperatorRequest& request) {
    return QuarantinePage(quarantine_, request, clock_.Now());
  });
}

GatewayServer::~GatewayServer() {
  // The front end first: nothing below it may vanish while a call runs.
  if (edge_) Drain(absl::ZeroDuration());
  canaries_.reset();
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

void GatewayServer::Publish(const FleetSnapshot& fleet, const FleetChange& change) {
  if (!change.new_models.empty()) calls_.Add(change.new_models, clock_.Now());
  // Before the snapshot, so that whatever a call is routed to is there.
  backends_.Update(change.addresses, clock_.Now());
  if (change.catalogue) trials_.Update(fleet);
  // The last holder of an old one frees what it does not share: that is to be
  // this thread, not a call's.
  retired_.push_back(fleet_.Get());
  fleet_.Set(fleet);
  std::erase_if(retired_, [](const auto& snapshot) { return snapshot.use_count() == 1; });
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
