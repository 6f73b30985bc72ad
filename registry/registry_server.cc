#include "registry/registry_server.h"

#include "base/status.h"
#include "registry/registry_metrics.h"
#include "registry/store/open_store.h"

namespace torchfleet::registry {
namespace {

// How often loads are written where that is dear.
constexpr absl::Duration kLoadInterval = absl::Seconds(1);
// Changes of the catalogue wait for the disk; metrics are read meanwhile.
constexpr int kOperatorThreads = 4;

}  // namespace

RegistryServer::RegistryServer(const Options& options, std::unique_ptr<Store> store,
                               bool dear_writes, const Clock& clock)
    : store_(std::move(store)),
      fleet_({.ttl = options.lease}, clock),
      publisher_({.patience = options.lease}, fleet_, clock),
      loads_(dear_writes ? std::make_unique<LoadWriter>(kLoadInterval, *store_, fleet_) : nullptr),
      sessions_({.ttl = options.lease}, *store_, fleet_, loads_.get()),
      drain_orders_(*store_, fleet_),
      service_({*store_, fleet_, publisher_, sessions_, drain_orders_}),
      catalogue_(std::make_unique<Catalogue>(*store_)),
      catalogue_service_(*catalogue_),
      catalogue_rest_(*catalogue_, [this](const v1::DrainRequest& request, auto done) {
        drain_orders_.Order(request, std::move(done));
      }) {
  fleet_.SetListener(*this);
  store_->Follow(fleet_);
}

absl::StatusOr<std::unique_ptr<RegistryServer>> RegistryServer::Start(const Options& options,
                                                                      const Clock& clock) {
  ASSIGN_OR_RETURN(auto store, OpenStore(options.store, clock));
  return Start(options, std::move(store), options.store.starts_with("etcd:"), clock);
}

absl::StatusOr<std::unique_ptr<RegistryServer>> RegistryServer::Start(const Options& options,
                                                                      std::unique_ptr<Store> store,
                                                                      bool dear_writes,
                                                                      const Clock& clock) {
  auto server = std::unique_ptr<RegistryServer>(
      new RegistryServer(options, std::move(store), dear_writes, clock));
  ASSIGN_OR_RETURN(server->operators_,
                   OperatorServer::Start(options.operator_listen, kOperatorThreads));
  server->operators_->Register(
      std::make_shared<RegistryMetrics>(server->fleet_, server->publisher_, server->sessions_));
  server->catalogue_rest_.AddTo(*server->operators_);
  ASSIGN_OR_RETURN(
      server->server_,
      GrpcServer::Start(options.listen, {&server->service_, &server->catalogue_service_}));
  server->operators_->SetReadiness([root = server.get()] { return root->Ready(); });
  server->server_->SetServing(true);
  server->server_->SetServing(v1::RegistryService::service_full_name(), true);
  server->server_->SetServing(v1::CatalogueService::service_full_name(), true);
  return server;
}

RegistryServer::~RegistryServer() {
  Stop();
  server_.reset();
  operators_.reset();
  if (loads_) loads_->Stop();
  catalogue_.reset();
  store_->Unfollow(fleet_);
  store_.reset();
}

void RegistryServer::Stop() {
  if (!server_) return;
  server_->SetServing(false);
  service_.StopStreams();
  server_->Drain(absl::Seconds(1));
}

void RegistryServer::OnChange(bool urgent) { publisher_.OnChange(urgent); }

void RegistryServer::OnDrainWishes(const std::vector<std::string>& worker_ids) {
  sessions_.PushDrains(worker_ids);
}

void RegistryServer::OnAvailable(bool available) { publisher_.OnAvailable(available); }

absl::Status RegistryServer::Ready() const {
  if (!fleet_.known()) return absl::UnavailableError("the store has told nothing yet");
  if (fleet_.away_since()) {
    return absl::UnavailableError("the store is away; what is known of the fleet stands");
  }
  return absl::OkStatus();
}

}  // namespace torchfleet::registry
