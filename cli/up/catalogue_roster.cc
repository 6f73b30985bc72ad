#include "cli/up/catalogue_roster.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <random>
#include <utility>

#include "base/grpc_status.h"
#include "base/status.h"
#include "cli/up/published_model.h"
#include "registry/client/backoff.h"
#include "registry/client/registry_channel.h"
#include "torchfleet/registry/v1/catalogue.grpc.pb.h"

namespace torchfleet::cli {
namespace {

namespace v1 = registry::v1;
using Catalogue = v1::CatalogueService::Stub;

constexpr std::chrono::seconds kLongest(5);
constexpr char kActor[] = "torchfleet up";
// Somebody else may change a model between our look and our change.
constexpr int kMostTries = 8;

struct Call {
  Call() { context.set_deadline(std::chrono::system_clock::now() + kLongest); }
  grpc::ClientContext context;
};

absl::StatusOr<v1::Model> Known(Catalogue& catalogue, const std::string& name) {
  Call call;
  v1::GetModelRequest request;
  request.set_name(name);
  v1::GetModelResponse response;
  RETURN_IF_ERROR(FromGrpc(catalogue.GetModel(&call.context, request, &response)));
  return response.model();
}

absl::Status Create(Catalogue& catalogue, const v1::Model& model) {
  Call call;
  v1::CreateModelRequest request;
  *request.mutable_model() = model;
  request.set_actor(kActor);
  v1::CreateModelResponse response;
  return FromGrpc(catalogue.CreateModel(&call.context, request, &response));
}

absl::Status Update(Catalogue& catalogue, const v1::Model& model) {
  Call call;
  v1::UpdateModelRequest request;
  *request.mutable_model() = model;
  request.set_revision(model.revision());
  request.set_actor(kActor);
  v1::UpdateModelResponse response;
  return FromGrpc(catalogue.UpdateModel(&call.context, request, &response));
}

ModelWish WishOf(const v1::Model& model) {
  return {.replicas = static_cast<int>(model.placement().replicas()),
          .unloaded = model.placement().unloaded(),
          .revision = model.revision()};
}

}  // namespace

CatalogueRoster::CatalogueRoster(std::filesystem::path repository, FleetPlan plan,
                                 Launcher& launcher, std::function<void(const std::string&)> say)
    : repository_(std::move(repository)),
      plan_(std::move(plan)),
      launcher_(launcher),
      say_(std::move(say)) {}

CatalogueRoster::~CatalogueRoster() {
  stopping_ = true;
  if (watcher_) watcher_->Stop();
  if (publisher_.joinable()) publisher_.join();
}

void CatalogueRoster::Begin(const std::string& registry_address) {
  registry::Watcher::Callbacks callbacks;
  callbacks.on_change = [this](const auto& change) { OnChange(change); };
  watcher_ = std::make_unique<registry::Watcher>(registry_address, std::move(callbacks));
  watcher_->Start();
  publisher_ = std::thread([this, registry_address] { Publish(registry_address); });
}

std::optional<std::vector<PlannedWorker>> CatalogueRoster::Take() {
  const std::lock_guard lock(mu_);
  if (!std::exchange(changed_, false)) return std::nullopt;
  return WorkersOf(plan_, wishes_);
}

std::optional<uint64_t> CatalogueRoster::WishAtDrain(const std::string& worker_id) {
  const std::lock_guard lock(mu_);
  const auto worker = workers_.find(worker_id);
  return worker == workers_.end() ? std::nullopt : worker->second.wish_at_drain;
}

void CatalogueRoster::OnChange(const v1::WatchResponse& change) {
  {
    const std::lock_guard lock(mu_);
    const ModelWishes before = wishes_;
    TakeModels(change);
    TakeWorkers(change);
    changed_ = changed_ || change.has_snapshot() || wishes_ != before;
    if (!changed_) return;
  }
  launcher_.Wake();
}

void CatalogueRoster::TakeModels(const v1::WatchResponse& change) {
  if (change.has_snapshot()) wishes_.clear();
  for (const v1::Model& model :
       change.has_snapshot() ? change.snapshot().models() : change.delta().models()) {
    wishes_[model.name()] = WishOf(model);
  }
  for (const std::string& name : change.delta().removed_models()) wishes_.erase(name);
}

void CatalogueRoster::TakeWorkers(const v1::WatchResponse& change) {
  for (const v1::Endpoint& endpoint :
       change.has_snapshot() ? change.snapshot().endpoints() : change.delta().updated()) {
    workers_[endpoint.worker().worker_id()].model = endpoint.worker().model();
    TakeState(endpoint.worker().worker_id(), endpoint.state());
  }
  for (const v1::WatchResponse::Condition& condition : change.delta().conditions()) {
    TakeState(condition.worker_id(), condition.state());
  }
}

void CatalogueRoster::TakeState(const std::string& worker_id, v1::WorkerState state) {
  SeenWorker& worker = workers_[worker_id];
  if (state != v1::WORKER_STATE_DRAINING) {
    worker.wish_at_drain.reset();
  } else if (!worker.wish_at_drain) {
    const auto wish = wishes_.find(worker.model);
    worker.wish_at_drain = wish == wishes_.end() ? 0 : wish->second.revision;
  }
}

void CatalogueRoster::Publish(const std::string& registry_address) {
  registry::RegistryChannel channel(registry_address, std::random_device{}());
  const auto catalogue = v1::CatalogueService::NewStub(channel.Get());
  for (const auto& [name, versions] : plan_.models) {
    const auto said = plan_.replicas.find(name);
    const int replicas = said == plan_.replicas.end() ? 0 : said->second;
    const auto publish = [&, &model_versions = versions, &model_name = name]() -> absl::Status {
      const auto known = Known(*catalogue, model_name);
      if (!known.ok() && !absl::IsNotFound(known.status())) return known.status();
      ASSIGN_OR_RETURN(const v1::Model found, FoundModel(repository_, model_name, model_versions,
                                                         known.value_or(v1::Model())));
      if (!known.ok()) {
        return Create(*catalogue, BroughtUpToDate(found, found, replicas).value_or(found));
      }
      const auto wanted = BroughtUpToDate(*known, found, replicas);
      return wanted ? Update(*catalogue, *wanted) : absl::OkStatus();
    };
    absl::Status status = absl::AbortedError("");
    for (int i = 0; i < kMostTries && !stopping_ && absl::IsAborted(status); ++i) {
      status = publish();
    }
    if (!status.ok() && !stopping_) {
      say_(fmt::format("model {} is not in the catalogue as it is in the repository: {}", name,
                       std::string(status.message())));
    }
  }
}

}  // namespace torchfleet::cli
