#pragma once
// The registry process's root: wires store, fleet, watchers, sessions, catalogue
// and servers.
//
//   workers ─► AnnounceStream ─► WorkerSession ─► Store ─► Fleet ─► Publisher
//                     ▲                             ▲        │         │
//                     └── drain ◄── Sessions ◄──────┼────────┘         ▼
//   operators ─┬► DrainOrders ──────────────────────┤      WatchStream ─► gateways
//              └► Catalogue ────────────────────────┘
//
// Lifecycle: Start; Stop (or destruction) ends every stream, then the server.
// Thread-safe after Start.

#include <memory>
#include <string>
#include <vector>

#include "base/grpc_server.h"
#include "base/metrics.h"
#include "registry/catalogue/catalogue_rest.h"
#include "registry/catalogue/catalogue_service.h"
#include "registry/front/registry_service.h"

namespace torchfleet::registry {

class RegistryServer : private FleetListener {
 public:
  struct Options {
    std::string listen = "127.0.0.1:9400";
    std::string operator_listen = "127.0.0.1:0";
    absl::Duration lease = absl::Seconds(5);
    // As OpenStore takes it.
    std::string store = "memory";
  };

  // Errors of the addresses: INVALID_ARGUMENT, UNAVAILABLE; those of OpenStore.
  static absl::StatusOr<std::unique_ptr<RegistryServer>> Start(const Options& options,
                                                               const Clock& clock);
  // Over a store that is open; `dear_writes`: loads are written seldom.
  static absl::StatusOr<std::unique_ptr<RegistryServer>> Start(const Options& options,
                                                               std::unique_ptr<Store> store,
                                                               bool dear_writes,
                                                               const Clock& clock);
  ~RegistryServer() override;
  void Stop();

  const std::string& address() const { return server_->address(); }
  const std::string& operator_address() const { return operators_->address(); }

 private:
  RegistryServer(const Options& options, std::unique_ptr<Store> store, bool dear_writes,
                 const Clock& clock);

  void OnChange(bool urgent) override;
  void OnDrainWishes(const std::vector<std::string>& worker_ids) override;
  void OnAvailable(bool available) override;
  absl::Status Ready() const;

  // Ends before all that its callbacks reach.
  std::unique_ptr<Store> store_;
  Fleet fleet_;
  Publisher publisher_;
  // Nothing where loads are written at once.
  std::unique_ptr<LoadWriter> loads_;
  Sessions sessions_;
  DrainOrders drain_orders_;
  RegistryService service_;
  // Follows the store, so ends before it.
  std::unique_ptr<Catalogue> catalogue_;
  CatalogueService catalogue_service_;
  const CatalogueRest catalogue_rest_;
  std::unique_ptr<OperatorServer> operators_;
  std::unique_ptr<GrpcServer> server_;
};

}  // namespace torchfleet::registry
