#include "model-worker/worker_server.h"

#include <fmt/format.h>

#include "absl/time/clock.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/status.h"
#include "model-worker/announce/announcement.h"
#include "model-worker/worker_metrics.h"

namespace torchfleet::worker {
namespace {

// Gateways are the callers: each puts all its calls on a few connections, and
// cancels many at once when their callers go.
net::ServerOptions PortOptions(const std::string& listen) {
  net::ServerOptions options;
  options.listen = listen;
  options.http2.limits.header_bytes = 64 << 10;
  options.http2.limits.streams = 1 << 16;
  options.http2.limits.stream_window = 1 << 20;
  options.http2.limits.resets = {100000, 10000};
  options.http2.limits.pings = {10000, 1000};
  options.http2.times.idle = absl::InfiniteDuration();
  return options;
}

}  // namespace

WorkerServer::WorkerServer(const WorkerOptions& options, const Clock& clock)
    : clock_(clock),
      options_(options),
      memory_(options.memory ? options.memory
                             : std::make_shared<MemoryBudget>(std::nullopt, ProcessMemory, clock)),
      watch_(clock),
      files_(options.repository, options.model, options.version),
      engines_(
          options.queue_size,
          {.queue = queue_statistics_, .executions = executions_, .watch = watch_, .clock = clock}),
      engine_(std::shared_ptr<const Engine>()),
      reloader_(files_, engines_, engine_, options.reload_interval),
      context_{.engine = engine_,
               .statistics = statistics_,
               .open_calls = open_calls_,
               .readiness = readiness_,
               .memory = *memory_,
               .clock = clock},
      service_(engine_, statistics_, executions_, readiness_, reloader_) {}

absl::StatusOr<std::unique_ptr<WorkerServer>> WorkerServer::Start(const WorkerOptions& options,
                                                                  const WorkerPlace& place,
                                                                  const ModelLoader& loader,
                                                                  const Clock& clock) {
  auto worker = std::unique_ptr<WorkerServer>(new WorkerServer(options, clock));
  ASSIGN_OR_RETURN(RepositoryModel model, worker->files_.Read());
  const std::shared_ptr<Engine> engine = worker->engines_.Make(std::move(model));
  worker->engine_.Set(std::shared_ptr<const Engine>(engine));
  RETURN_IF_ERROR(worker->Listen(place));
  worker->Announce(place);
  if (const absl::Status status = worker->Load(*engine, loader); !status.ok()) {
    worker->Fail(worker->files_.WithoutFolders(std::string(status.message())));
    return status;
  }
  WorkerServer& server = *worker;
  server.reloader_.Start(loader, [&server](const Engine& now) { server.TakenOver(now); });
  return worker;
}

WorkerServer::~WorkerServer() {
  reloader_.Stop();
  if (announcer_) announcer_->Stop();
  // What waits is answered, what runs comes back.
  engines_.Close();
  if (port_) port_->Stop();
  if (control_) control_->Drain(absl::ZeroDuration());
}

absl::Status WorkerServer::Listen(const WorkerPlace& place) {
  ASSIGN_OR_RETURN(operators_, OperatorServer::Start(place.operator_listen));
  operators_->Register(std::make_shared<WorkerMetrics>(WorkerMetrics::Sources{
      engine_, statistics_, queue_statistics_, executions_, watch_, reloader_, *memory_}));
  operators_->SetReadiness([this] { return readiness_.Status(); });
  ASSIGN_OR_RETURN(control_,
                   GrpcServer::Start("unix-abstract:torchfleet-" + RandomId(), {&service_}));
  ASSIGN_OR_RETURN(const net::Address behind, net::ParseAddress(control_->address()));
  ASSIGN_OR_RETURN(port_, net::Server::Start(PortOptions(place.listen), [=, this](net::Loop& loop) {
                     return std::make_unique<FrontService>(loop, context_, behind);
                   }));
  return absl::OkStatus();
}

void WorkerServer::Announce(const WorkerPlace& place) {
  if (place.registry.empty()) return;
  const auto engine = engine_.Get();
  const ModelSpec& spec = engine->spec();
  identity_.worker_id = place.worker_id.empty()
                            ? fmt::format("{}-{}-{}", spec.name, spec.version, RandomId())
                            : place.worker_id;
  identity_.address = place.advertise.empty() ? address() : place.advertise;
  identity_.operator_address = operator_address();
  identity_.zone = place.zone;
  const auto on_drain = [wanted = place.on_drain](const std::string& actor) {
    LogInfo("an operator wants this worker to drain", {{"actor", Clip(actor)}});
    if (wanted) wanted();
  };
  announcer_ = std::make_unique<registry::Announcer>(
      place.registry, Announcement(spec, identity_),
      registry::Announcer::Callbacks{.load = [this] { return CurrentLoad(); },
                                     .on_drain = on_drain});
  announcer_->Start(registry::v1::WORKER_STATE_STARTING);
}

absl::Status WorkerServer::Load(Engine& engine, const ModelLoader& loader) {
  const Instant began = clock_.Now();
  RETURN_IF_ERROR(engine.Load(loader));
  memory_->Measure(true);
  readiness_.SetLoaded();
  readiness_.SetReady(true);
  control_->SetServing(true);
  control_->SetServing(inference::GRPCInferenceService::service_full_name(), true);
  if (announcer_) {
    announcer_->SetCondition({.state = registry::v1::WORKER_STATE_READY});
    // Whoever waits for this worker wants to call it; without a registry it
    // serves nevertheless.
    announcer_->AwaitTold(absl::Seconds(2));
  }
  LogInfo("worker is ready", {{"model", engine.spec().name},
                              {"version", engine.spec().version},
                              {"address", address()},
                              {"operator_address", operator_address()},
                              {"load_time", absl::FormatDuration(clock_.Now() - began)}});
  return absl::OkStatus();
}

void WorkerServer::Fail(const std::string& reason) {
  if (!announcer_) return;
  announcer_->SetCondition({.state = registry::v1::WORKER_STATE_FAILED, .reason = reason});
  announcer_->AwaitTold(absl::Seconds(2));
  announcer_->Abandon();
}

void WorkerServer::SayDraining(registry::v1::DrainPhase phase) {
  if (!announcer_) return;
  announcer_->SetCondition({.state = registry::v1::WORKER_STATE_DRAINING, .drain_phase = phase});
}

void WorkerServer::TakenOver(const Engine& engine) {
  if (announcer_) announcer_->SetWorker(Announcement(engine.spec(), identity_));
}

registry::v1::Load WorkerServer::CurrentLoad() const {
  const auto engine = engine_.Get();
  const Scheduler::Figures now = engine->scheduler().figures();
  registry::v1::Load load;
  load.set_queued(static_cast<uint32_t>(now.depth));
  load.set_running(static_cast<uint32_t>(now.running));
  load.set_capacity(RequestsAtOnce(engine->spec()));
  return load;
}

void WorkerServer::Drain(absl::Duration delay, absl::Duration timeout) {
  // From here on no other engine takes over.
  reloader_.Close();
  const auto engine = engine_.Get();
  LogInfo("worker drains", {{"model", engine->spec().name}, {"version", engine->spec().version}});
  readiness_.SetReady(false);
  control_->SetServing(false);
  control_->SetServing(inference::GRPCInferenceService::service_full_name(), false);
  SayDraining(registry::v1::DRAIN_PHASE_ANNOUNCED);
  // Calls go on meanwhile; a second signal ends the process.
  absl::SleepFor(delay);
  SayDraining(registry::v1::DRAIN_PHASE_FINISHING);
  // Whoever comes now is told to go elsewhere; the port closes when nobody is
  // left.
  engine->Retire();
  const bool finished = open_calls_.Close(timeout);
  if (!finished) engines_.Close();
  port_->Drain(finished ? absl::Seconds(1) : absl::ZeroDuration());
  control_->Drain(absl::ZeroDuration());
  Leave();
  reloader_.Stop();
}

void WorkerServer::Leave(const std::string& reason) {
  if (announcer_) announcer_->Leave(reason);
}

}  // namespace torchfleet::worker
