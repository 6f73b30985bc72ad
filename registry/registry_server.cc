#include "registry/registry_server.h"

#include "absl/time/clock.h"
#include "base/ids.h"
#include "base/status.h"
#include "registry/registry_metrics.h"

namespace torchfleet::registry {

RegistryServer::RegistryServer(const Options& options, const Clock& clock)
    : store_(static_cast<uint64_t>(absl::ToUnixMicros(absl::Now()))),
      fleet_({.incarnation = RandomId(), .ttl = options.lease}, clock, store_),
      service_(fleet_) {}

absl::StatusOr<std::unique_ptr<RegistryServer>> RegistryServer::Start(const Options& options,
                                                                      const Clock& clock) {
  auto server = std::unique_ptr<RegistryServer>(new RegistryServer(options, clock));
  ASSIGN_OR_RETURN(server->operators_, OperatorServer::Start(options.operator_listen));
  server->operators_->Register(std::make_shared<RegistryMetrics>(server->fleet_));
  ASSIGN_OR_RETURN(server->server_, GrpcServer::Start(options.listen, {&server->service_}));
  server->operators_->SetReadiness([] { return absl::OkStatus(); });
  server->server_->SetServing(true);
  server->server_->SetServing(v1::RegistryService::service_full_name(), true);
  return server;
}

RegistryServer::~RegistryServer() { Stop(); }

void RegistryServer::Stop() {
  if (!server_) return;
  server_->SetServing(false);
  service_.StopStreams();
  server_->Drain(absl::Seconds(1));
}

}  // namespace torchfleet::registry
