#pragma once
// The gateway: wires the fleet, the backends, the front and the ports.
//
// Lifecycle: Start; Drain before destruction, or destruction does it at once.
// Thread-safe.

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/snapshot.h"
#include "gateway/discover/fleet_follower.h"
#include "gateway/discover/fleet_snapshot.h"
#include "gateway/edge/edge.h"
#include "gateway/edge/inference_front.h"
#include "gateway/forward/backend.h"
#include "gateway/forward/canary_watch.h"
#include "gateway/forward/model_calls.h"
#include "gateway/forward/quarantine.h"
#include "gateway/forward/trial_calls.h"
#include "gateway/forward/worker_watch.h"
#include "gateway/metrics/gateway_metrics.h"

namespace torchfleet::gateway {

struct GatewayOptions {
  std::string listen = "127.0.0.1:8001";
  std::string operator_listen = "127.0.0.1:0";
  // host:port, or several with commas between.
  std::string registry = "127.0.0.1:9400";
  // Where the fleet is kept, to start from when no registry answers; empty:
  // nowhere.
  std::string fleet_file = {};
  // Callers may load and unload models.
  bool model_control = false;
  // host:port of the one worker that answers every call; empty to follow the
  // registry.
  std::string worker;
  // Where it is; workers there come first. Empty: not said.
  std::string zone = {};
  // Event loops that calls come in on; 0 for one a core.
  int threads = 0;
  std::vector<std::string> allowed_origins = {};
  AccessLog::Options access_log = {};
  // No certificate: calls come in clear text.
  net::TlsFiles tls = {};
};

class GatewayServer {
 public:
  static absl::StatusOr<std::unique_ptr<GatewayServer>> Start(const GatewayOptions& options);
  ~GatewayServer();

  // Tells health checks that no more calls are welcome, then waits for those
  // begun; cancels what is left at `deadline`.
  void Drain(absl::Duration deadline);

  // Where calls and operators come in, as bound.
  const std::string& address() const { return edge_->address(); }
  const std::string& operator_address() const { return operators_->address(); }

 private:
  explicit GatewayServer(size_t loops);
  // From now on calls see this fleet.
  void Publish(const FleetSnapshot& fleet, const FleetChange& change);
  void SetServing();
  // Workers and what is in quarantine, on the operators' port.
  void ShowWorkers();
  // OK, or what is awaited, for the operators' port.
  absl::Status Ready();

  MonotonicClock clock_;
  Snapshot<FleetSnapshot> fleet_;
  // Snapshots that were replaced and that calls may still hold. Only Publish's.
  std::vector<std::shared_ptr<const FleetSnapshot>> retired_;
  BackendTable backends_;
  ModelCallsTable calls_;
  Quarantine quarantine_;
  TrialTable trials_;
  InferenceFront front_;
  std::unique_ptr<ModelControl> control_;
  std::atomic<bool> registry_connected_ = false;  // without a follower
  std::shared_ptr<GatewayMetrics> metrics_;
  std::unique_ptr<OperatorServer> operators_;
  std::unique_ptr<Edge> edge_;
  std::unique_ptr<FleetFollower> follower_;
  WorkerWatch watch_{fleet_, backends_, calls_, clock_};
  // With a registry.
  std::unique_ptr<CanaryWatch> canaries_;

  std::mutex serving_mu_;
  // Guarded by serving_mu_.
  bool draining_ = false;
};

}  // namespace torchfleet::gateway
