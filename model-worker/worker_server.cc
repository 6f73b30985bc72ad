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

WorkerServer::WorkerServer(RepositoryModel model, size_t queue_size, const Clock& clock)
    : clock_(clock),
      model_(std::move(model)),
      queue_(queue_size, clock),
      context_{.spec = model_.spec,
               .queue = queue_,
               .statistics = statistics_,
               .open_calls = open_calls_,
               .readiness = readiness_,
               .clock = clock},
      service_(model_.spec, model_.config, statistics_, readiness_) {}

absl::StatusOr<std::unique_ptr<WorkerServer>> WorkerServer::Start(const WorkerOptions& options,
                                                                  const WorkerPlace& place,
                                                                  const ModelLoader& loader,
                                                                  const Clock& clock) {
  ASSIGN_OR_RETURN(RepositoryModel model,
                   ReadModel(options.repository, options.model, options.version));
  auto worker =
      std::unique_ptr<WorkerServer>(new WorkerServer(std::move(model), options.queue_size, clock));
  RETURN_IF_ERROR(worker->Listen(place));
  worker->Announce(place);
  RETURN_IF_ERROR(worker->Load(loader));
  return worker;
}

WorkerServer::~WorkerServer() {
  if (announcer_) announcer_->Stop();
  queue_.Close();
  if (executor_) executor_->Stop();
  if (port_) port_->Stop();
  if (control_) control_->Drain(absl::ZeroDuration());
}

absl::Status WorkerServer::Listen(const WorkerPlace& place) {
  ASSIGN_OR_RETURN(operators_, OperatorServer::Start(place.operator_listen));
  operators_->Register(std::make_shared<WorkerMetrics>(
      model_.spec, statistics_, queue_, [this]() -> WorkerMetrics::Execution {
        const Executor* executor = running_executor_.load(std::memory_order_acquire);
        if (!executor) return {};
        return {executor->running(), executor->mismatches()};
      }));
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
  WorkerIdentity identity;
  identity.worker_id = place.worker_id.empty()
                           ? fmt::format("{}-{}-{}", spec().name, spec().version, RandomId())
                           : place.worker_id;
  identity.address = place.advertise.empty() ? address() : place.advertise;
  identity.operator_address = operator_address();
  announcer_ = std::make_unique<registry::Announcer>(place.registry, Announcement(spec(), identity),
                                                     [this] { return CurrentLoad(); });
  announcer_->Start(registry::v1::WORKER_STATE_STARTING);
}

absl::Status WorkerServer::Load(const ModelLoader& loader) {
  const Instant began = clock_.Now();
  ASSIGN_OR_RETURN(loaded_, LoadModel(model_, loader));
  executor_ = std::make_unique<Executor>(queue_, *loaded_, spec(), clock_);
  running_executor_.store(executor_.get(), std::memory_order_release);
  readiness_.SetLoaded();
  readiness_.SetReady(true);
  control_->SetServing(true);
  control_->SetServing(inference::GRPCInferenceService::service_full_name(), true);
  if (announcer_) {
    announcer_->SetState(registry::v1::WORKER_STATE_READY);
    // Whoever waits for this worker wants to call it; without a registry it
    // serves nevertheless.
    announcer_->AwaitTold(registry::v1::WORKER_STATE_READY, absl::Seconds(2));
  }
  LogInfo("worker is ready", {{"model", spec().name},
                              {"version", spec().version},
                              {"address", address()},
                              {"operator_address", operator_address()},
                              {"load_time", absl::FormatDuration(clock_.Now() - began)}});
  return absl::OkStatus();
}

registry::v1::Load WorkerServer::CurrentLoad() const {
  registry::v1::Load load;
  load.set_queued(static_cast<uint32_t>(queue_.figures().depth));
  if (const Executor* executor = running_executor_.load(std::memory_order_acquire)) {
    load.set_running(static_cast<uint32_t>(executor->running()));
  }
  load.set_capacity(static_cast<uint32_t>(spec().instances));
  return load;
}

void WorkerServer::Drain(absl::Duration delay, absl::Duration timeout) {
  LogInfo("worker drains", {{"model", spec().name}, {"version", spec().version}});
  readiness_.SetReady(false);
  control_->SetServing(false);
  control_->SetServing(inference::GRPCInferenceService::service_full_name(), false);
  if (announcer_) announcer_->SetState(registry::v1::WORKER_STATE_DRAINING);
  // Calls go on meanwhile; a second signal ends the process.
  absl::SleepFor(delay);
  // Whoever comes now is told to go elsewhere; the port closes when nobody is
  // left.
  const bool finished = open_calls_.Close(timeout);
  if (!finished) queue_.Close();
  port_->Drain(finished ? absl::Seconds(1) : absl::ZeroDuration());
  control_->Drain(absl::ZeroDuration());
  Leave();
}

void WorkerServer::Leave() {
  if (announcer_) announcer_->Stop();
}

}  // namespace torchfleet::worker
