#include "gateway/forward/canary_watch.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <random>

#include "base/grpc_status.h"
#include "base/log.h"
#include "gateway/route/traffic_policy.h"
#include "torchfleet/registry/v1/catalogue.grpc.pb.h"

namespace torchfleet::gateway {
namespace {

namespace v1 = registry::v1;

void LogVerdict(const Trial& trial, const CanaryJudgement& judgement,
                const v1::RouteCanary& canary) {
  const std::string& model = trial.route->model();
  switch (judgement.verdict) {
    case CanaryVerdict::kRollBack:
      return LogWarning("a canary gets no calls any more",
                        {{"model", model}, {"rule", trial.rule}, {"reason", judgement.reason}});
    case CanaryVerdict::kPromote:
      return LogInfo("a canary has done well through all steps",
                     {{"model", model}, {"rule", trial.rule}, {"reason", judgement.reason}});
    default:
      return LogInfo("a canary gets more calls", {{"model", model},
                                                  {"rule", trial.rule},
                                                  {"percent", TrafficPolicy::ShareOf(canary)},
                                                  {"reason", judgement.reason}});
  }
}

}  // namespace

CanaryWatch::CanaryWatch(const std::string& registry_addresses, std::string actor,
                         const TrialTable& trials, const Clock& clock)
    : actor_(std::move(actor)),
      clock_(clock),
      table_(trials.table()),
      registry_(registry_addresses, std::random_device{}()) {}

CanaryWatch::~CanaryWatch() { Stop(); }

void CanaryWatch::Start() {
  thread_ = std::thread([this] { Run(); });
}

void CanaryWatch::Stop() {
  {
    const std::lock_guard lock(mu_);
    stopped_ = true;
    if (under_way_) under_way_->TryCancel();
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void CanaryWatch::Run() {
  const auto every = absl::ToChronoNanoseconds(kEvery);
  std::unique_lock lock(mu_);
  while (!changed_.wait_for(lock, every, [&] { return stopped_; })) {
    lock.unlock();
    JudgeAll();
    lock.lock();
  }
}

void CanaryWatch::JudgeAll() {
  // Kept: a change may come while the registry is asked.
  const std::shared_ptr<const TrialTable::Table> table = table_.Get();
  std::map<TrialKey, Watched> watched;
  for (const Trial& trial : table->trials) {
    const TrialKey key{trial.route->model(), trial.rule};
    auto before = watched_.extract(key);
    Watched& now = watched[key];
    if (!before.empty() && before.mapped().calls == trial.calls) now = std::move(before.mapped());
    now.calls = trial.calls;
    Judge(trial, now);
  }
  watched_ = std::move(watched);
}

void CanaryWatch::Judge(const Trial& trial, Watched& watched) {
  const Instant now = clock_.Now();
  const CanaryJudgement judgement = watched.trial.Judge(trial.canary(), trial.calls->Sum(), now);
  if (judgement.verdict == CanaryVerdict::kKeep) return;
  if (watched.changed == trial.route && now < watched.until) return;
  const bool again = watched.changed == trial.route;
  const absl::Status told = Tell(trial, judgement);
  watched.changed = trial.route;
  watched.until = clock_.Now() + kPause;
  if (told.ok()) {
    LogVerdict(trial, judgement, After(judgement, trial.canary()));
  } else if (!again && !absl::IsAborted(told) && !absl::IsCancelled(told)) {
    LogWarning("the registry does not take what came of a canary",
               {{"model", trial.route->model()},
                {"reason", judgement.reason},
                {"error", std::string(told.message())}});
  }
}

absl::Status CanaryWatch::Tell(const Trial& trial, const CanaryJudgement& judgement) {
  v1::SetRouteRequest request;
  v1::Route& route = *request.mutable_route();
  route = *trial.route;
  *route.mutable_rules(trial.rule)->mutable_canary() = After(judgement, trial.canary());
  request.set_revision(trial.route->revision());
  // It names nothing that it did not name before.
  request.set_force(true);
  request.set_actor(actor_);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(kPatience));
  {
    const std::lock_guard lock(mu_);
    if (stopped_) return absl::CancelledError("the gateway ends");
    under_way_ = &context;
  }
  v1::SetRouteResponse response;
  const auto stub = v1::CatalogueService::NewStub(registry_.Get());
  const absl::Status status = FromGrpc(stub->SetRoute(&context, request, &response));
  {
    const std::lock_guard lock(mu_);
    under_way_ = nullptr;
  }
  if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) registry_.Failed();
  return status;
}

}  // namespace torchfleet::gateway
