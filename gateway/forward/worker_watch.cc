#include "gateway/forward/worker_watch.h"

#include <algorithm>
#include <chrono>
#include <string_view>

#include "base/log.h"

namespace torchfleet::gateway {
namespace {

constexpr char kHealthCheck[] = "/grpc.health.v1.Health/Check";
constexpr std::chrono::seconds kProbeTimeout(1);

const char* Reason(OutlierVerdict why) {
  switch (why) {
    case OutlierVerdict::kSilent:
      return "gives no answers";
    case OutlierVerdict::kFailing:
      return "answers with more errors than its peers";
    default:
      return "takes several times as long as its peers";
  }
}

ModelCalls::Rescue Counted(OutlierVerdict why) {
  switch (why) {
    case OutlierVerdict::kSilent:
      return ModelCalls::Rescue::kEjectedSilent;
    case OutlierVerdict::kFailing:
      return ModelCalls::Rescue::kEjectedFailing;
    default:
      return ModelCalls::Rescue::kEjectedSlow;
  }
}

// SERVING, as grpc.health.v1 has it: field 1 is 1.
constexpr std::string_view kServing = "\x08\x01";

}  // namespace

struct WorkerWatch::Probe {
  std::string model;
  std::shared_ptr<ModelCalls> calls;
  std::shared_ptr<Backend> backend;
  grpc::ClientContext context;
  grpc::ByteBuffer request;
  grpc::ByteBuffer reply;
  // Guarded by the watch's mu_.
  bool done = false;
  bool answered = false;

  // A worker that has no health service is as well as it says it is.
  bool Well(const grpc::Status& status) const {
    if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED ||
        status.error_code() == grpc::StatusCode::NOT_FOUND) {
      return true;
    }
    grpc::Slice slice;
    return status.ok() && reply.TrySingleSlice(&slice).ok() &&
           std::string_view(reinterpret_cast<const char*>(slice.begin()), slice.size()) == kServing;
  }
};

WorkerWatch::WorkerWatch(const Snapshot<FleetSnapshot>& fleet, const BackendTable& backends,
                         const ModelCallsTable& calls, const Clock& clock)
    : calls_(calls), clock_(clock), fleet_(fleet), table_(backends.table()) {}

WorkerWatch::~WorkerWatch() { Stop(); }

void WorkerWatch::Start() {
  thread_ = std::thread([this] { Run(); });
}

void WorkerWatch::Stop() {
  {
    std::unique_lock lock(mu_);
    stopped_ = true;
    changed_.notify_all();
    for (const auto& probe : probes_) probe->context.TryCancel();
    changed_.wait(lock, [&] {
      return std::all_of(probes_.begin(), probes_.end(), [](const auto& p) { return p->done; });
    });
  }
  if (thread_.joinable()) thread_.join();
}

void WorkerWatch::Run() {
  const auto every = absl::ToChronoNanoseconds(kJudgeEvery);
  std::unique_lock lock(mu_);
  while (!changed_.wait_for(lock, every, [&] { return stopped_; })) {
    lock.unlock();
    Regroup();
    const Instant now = clock_.Now();
    HearProbes(now);
    for (const Group& group : groups_) Judge(group, now);
    RememberLatencies();
    lock.lock();
  }
}

void WorkerWatch::Regroup() {
  const auto& fleet = fleet_.Get();
  const auto& table = table_.Get();
  if (fleet == of_fleet_ && table == of_table_) return;
  of_fleet_ = fleet;
  of_table_ = table;
  groups_.clear();
  for (const auto& [model, served] : fleet->models) {
    for (const auto& [version, workers] : served->versions) AddGroup(model, workers->ready);
  }
  if (fleet->is_fixed()) AddGroup("", fleet->fixed.ready);
}

void WorkerWatch::AddGroup(const std::string& model, const std::vector<std::string>& addresses) {
  Group group{.model = model, .backends = {}, .health = {}, .calls = calls_.Find(model)};
  for (const std::string& address : addresses) {
    const auto found = of_table_->find(address);
    if (found == of_table_->end()) continue;  // it has left since
    group.backends.push_back(found->second);
    group.health.push_back(&found->second->health());
  }
  groups_.push_back(std::move(group));
}

void WorkerWatch::Judge(const Group& group, Instant now) {
  const GroupJudge::Outcome outcome = GroupJudge::Judge(now, group.health);
  for (const GroupJudge::Ejection& ejection : outcome.ejections) {
    group.calls->Count(Counted(ejection.why));
    LogWarning("a worker gets no calls for a while",
               {{"model", group.model},
                {"worker", group.backends[ejection.endpoint]->address()},
                {"reason", Reason(ejection.why)},
                {"duration", absl::FormatDuration(ejection.lasts)}});
  }
  for (const size_t worker : outcome.to_probe) Ask(group, worker);
}

void WorkerWatch::RememberLatencies() {
  static const auto kTurns = static_cast<size_t>(absl::Seconds(1) / kJudgeEvery);
  size_t place = ++turn_;
  for (const auto& [address, backend] : *of_table_) {
    if (place++ % kTurns == 0) backend->health().RememberLatency();
  }
}

void WorkerWatch::Ask(const Group& group, size_t worker) {
  auto owned = std::make_unique<Probe>();
  Probe* const probe = owned.get();
  probe->model = group.model;
  probe->calls = group.calls;
  probe->backend = group.backends[worker];
  probe->context.set_deadline(std::chrono::system_clock::now() + kProbeTimeout);
  const grpc::Slice nothing;
  probe->request = grpc::ByteBuffer(&nothing, 1);
  {
    const std::lock_guard lock(mu_);
    if (stopped_) return;
    probes_.push_back(std::move(owned));
  }
  probe->backend->stub().UnaryCall(&probe->context, kHealthCheck, grpc::StubOptions(),
                                   &probe->request, &probe->reply,
                                   [this, probe](const grpc::Status& status) {
                                     const std::lock_guard lock(mu_);
                                     probe->answered = probe->Well(status);
                                     probe->done = true;
                                     changed_.notify_all();
                                   });
}

void WorkerWatch::HearProbes(Instant now) {
  std::vector<std::unique_ptr<Probe>> done;
  {
    const std::lock_guard lock(mu_);
    const auto ended = std::stable_partition(probes_.begin(), probes_.end(),
                                             [](const auto& probe) { return !probe->done; });
    std::move(ended, probes_.end(), std::back_inserter(done));
    probes_.erase(ended, probes_.end());
  }
  for (const auto& probe : done) {
    GroupJudge::Probed(now, probe->backend->health(), probe->answered);
    if (!probe->answered) continue;
    probe->calls->Count(ModelCalls::Rescue::kReturned);
    LogInfo("a worker that got no calls takes them again",
            {{"model", probe->model}, {"worker", probe->backend->address()}});
  }
}

}  // namespace torchfleet::gateway
