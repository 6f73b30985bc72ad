#pragma once
// The worker process's root: one model from repository to served.
//
//   Start ─► STARTING ─► READY ─► Drain: DRAINING (ANNOUNCED ─► FINISHING) ─► gone
//               └─► FAILED
//
// Lifecycle: Start loads the model and returns when it is READY; one that cannot
// be loaded stays FAILED at the registry for a while. Drain once; then destruction.
// Thread-safe after Start.

#include <functional>
#include <memory>
#include <string>

#include "base/grpc_server.h"
#include "base/metrics.h"
#include "base/snapshot.h"
#include "model-worker/announce/announcement.h"
#include "model-worker/engines.h"
#include "model-worker/execute/memory_budget.h"
#include "model-worker/front/front_service.h"
#include "model-worker/front/inference_service.h"
#include "model-worker/front/model_statistics.h"
#include "model-worker/front/open_calls.h"
#include "model-worker/load/model_loader.h"
#include "model-worker/reload/reloader.h"
#include "net/server/server.h"
#include "registry/client/announcer.h"

namespace torchfleet::worker {

struct WorkerOptions {
  std::string repository = "./models";
  std::string model;
  // 0: the highest that is served.
  int64_t version = 0;
  size_t queue_size = 1024;
  // How often it is looked whether the model's files have changed; zero: never.
  absl::Duration reload_interval = absl::Seconds(2);
  // Null: without a limit.
  std::shared_ptr<MemoryBudget> memory = nullptr;
};

// Where a worker listens and whom it tells.
struct WorkerPlace {
  std::string listen = "127.0.0.1:0";
  std::string operator_listen = "127.0.0.1:0";
  // host:port, or several with commas between. Empty: announced nowhere.
  std::string registry;
  // Empty: made of model, version and something random.
  std::string worker_id;
  // Empty: the bound address.
  std::string advertise;
  // Empty: not said.
  std::string zone = {};
  // An operator wants it to drain. May be called more than once, on any thread.
  std::function<void()> on_drain = nullptr;
};

class WorkerServer {
 public:
  // Errors of the repository, the loader and the addresses.
  static absl::StatusOr<std::unique_ptr<WorkerServer>> Start(const WorkerOptions& options,
                                                             const WorkerPlace& place,
                                                             const ModelLoader& loader,
                                                             const Clock& clock);
  ~WorkerServer();

  // Not ready; after `delay`, while news travels and calls are still taken, no
  // new calls; what waits or runs may go on for `timeout`, then its callers are
  // let go. Returns when the model has come back from the last one, however
  // long that takes.
  void Drain(absl::Duration delay, absl::Duration timeout);
  // Tells the registry that this worker is gone, and why unless it was told to
  // go; also while Drain waits.
  void Leave(const std::string& reason = "");

  const std::string& address() const { return port_->address(); }
  const std::string& operator_address() const { return operators_->address(); }
  const RunWatch& runs() const { return watch_; }

 private:
  WorkerServer(const WorkerOptions& options, const Clock& clock);

  absl::Status Listen(const WorkerPlace& place);
  void Announce(const WorkerPlace& place);
  absl::Status Load(Engine& engine, const ModelLoader& loader);
  void SayDraining(registry::v1::DrainPhase phase);
  // It will not serve.
  void Fail(const std::string& reason);
  // A reloaded model has taken over.
  void TakenOver(const Engine& engine);
  registry::v1::Load CurrentLoad() const;

  const Clock& clock_;
  const WorkerOptions options_;
  const std::shared_ptr<MemoryBudget> memory_;
  ModelStatistics statistics_;
  QueueStatistics queue_statistics_;
  ExecutionStatistics executions_;
  RunWatch watch_;
  OpenCalls open_calls_;
  Readiness readiness_;
  WatchedModel files_;
  Engines engines_;
  Snapshot<Engine> engine_;
  Reloader reloader_;
  const InferContext context_;
  InferenceService service_;
  std::unique_ptr<OperatorServer> operators_;
  // What is no inference, behind the port.
  std::unique_ptr<GrpcServer> control_;
  std::unique_ptr<net::Server> port_;
  WorkerIdentity identity_;
  std::unique_ptr<registry::Announcer> announcer_;
};

}  // namespace torchfleet::worker
