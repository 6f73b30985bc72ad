#include "cli/up/catalogue_roster.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "base/status.h"

namespace torchfleet::cli {
namespace {

namespace v1 = registry::v1;

constexpr std::chrono::seconds kBetweenLooks(1);

std::string CannotBeServed(const std::string& model, const std::string& reason) {
  return fmt::format("model {} stays as it is: {}", model, reason);
}

}  // namespace

CatalogueRoster::CatalogueRoster(RosterOptions options, Launcher& launcher, const Clock& clock,
                                 std::function<void(const std::string&)> say)
    : repository_(options.repository),
      replicas_(options.plan.replicas),
      launcher_(launcher),
      clock_(clock),
      say_(std::move(say)),
      files_(options.repository),
      plan_(options.plan, options.scale_in_after) {
  // Whoever read the plan has said so.
  for (const auto& [model, reason] : options.plan.refused) {
    said_[model] = CannotBeServed(model, reason);
  }
}

CatalogueRoster::~CatalogueRoster() {
  {
    const std::lock_guard lock(mu_);
    stopping_ = true;
    stopped_.notify_all();
  }
  if (watcher_) watcher_->Stop();
  if (tending_.joinable()) tending_.join();
}

void CatalogueRoster::Begin(const std::string& registry_address) {
  registry::Watcher::Callbacks callbacks;
  callbacks.on_change = [this](const auto& change) { OnChange(change); };
  watcher_ = std::make_unique<registry::Watcher>(registry_address, std::move(callbacks));
  watcher_->Start();
  tending_ = std::thread([this, registry_address] { Tend(registry_address); });
}

std::optional<std::vector<PlannedWorker>> CatalogueRoster::Take() {
  const std::lock_guard lock(mu_);
  return std::exchange(changed_, false) ? workers_ : std::nullopt;
}

std::optional<uint64_t> CatalogueRoster::WishAtDrain(const std::string& worker_id) {
  const std::lock_guard lock(mu_);
  const auto wish = wish_at_drain_.find(worker_id);
  return wish == wish_at_drain_.end() ? std::nullopt : std::optional(wish->second);
}

void CatalogueRoster::OnChange(const v1::WatchResponse& change) {
  {
    const std::lock_guard lock(mu_);
    fleet_.Apply(change);
    seen_ = true;
    NoteDrains();
  }
  Decide();
}

void CatalogueRoster::NoteDrains() {
  for (const auto& [id, worker] : fleet_.workers()) {
    if (worker.state() != v1::WORKER_STATE_DRAINING) {
      wish_at_drain_.erase(id);
      continue;
    }
    const auto model = fleet_.models().find(worker.worker().model());
    wish_at_drain_.try_emplace(id, model == fleet_.models().end() ? 0 : model->second.revision());
  }
}

void CatalogueRoster::Decide() {
  std::vector<std::string> notes;
  bool wake = false;
  {
    const std::lock_guard lock(mu_);
    if (!seen_) return;
    auto workers = plan_.Decide(fleet_, clock_.Now());
    notes = plan_.TakeNotes();
    if (workers_ != workers) {
      workers_ = std::move(workers);
      changed_ = true;
    }
    wake = changed_;
  }
  for (const std::string& note : notes) say_(note);
  if (wake) launcher_.Wake();
}

void CatalogueRoster::Tend(const std::string& registry_address) {
  CataloguePublisher publisher(repository_, registry_address);
  std::unique_lock lock(mu_);
  while (!stopping_) {
    lock.unlock();
    LookAtRepository();
    Decide();
    PublishAll(publisher);
    lock.lock();
    stopped_.wait_for(lock, kBetweenLooks, [&] { return stopping_; });
  }
}

void CatalogueRoster::LookAtRepository() {
  const auto changes = files_.Look();
  SayOnce("", changes.ok() ? ""
                           : fmt::format("{}; the fleet stays as it is",
                                         std::string(changes.status().message())));
  if (!changes.ok()) return;
  for (const auto& change : *changes) TakeChange(change);
}

void CatalogueRoster::TakeChange(const RepositoryWatch::Change& change) {
  absl::StatusOr<std::vector<int64_t>> versions = std::vector<int64_t>();
  if (change.gone) {
    say_(
        fmt::format("model {} is not in the repository any more; its workers drain", change.model));
    published_.erase(change.model);
  } else {
    versions = PlanModel(repository_, change.model);
    unpublished_.insert(change.model);
  }
  SayOnce(
      change.model,
      versions.ok() ? "" : CannotBeServed(change.model, std::string(versions.status().message())));
  if (!versions.ok()) return;
  const std::lock_guard lock(mu_);
  plan_.SetVersions(change.model, *versions);
}

void CatalogueRoster::PublishAll(CataloguePublisher& publisher) {
  std::map<std::string, std::vector<int64_t>> versions;
  {
    const std::lock_guard lock(mu_);
    // Which versions aliases and routes name is not known before.
    if (!seen_) return;
    versions = plan_.Versions();
  }
  for (const auto& [name, now] : versions) {
    const auto before = published_.find(name);
    const bool first = before == published_.end();
    if (!first && before->second == now && !unpublished_.contains(name)) continue;
    // Later on others may have wished for something else.
    const auto said = replicas_.find(name);
    const absl::Status status =
        publisher.Publish(name, now, first && said != replicas_.end() ? said->second : 0);
    {
      const std::lock_guard lock(mu_);
      if (stopping_) return;
    }
    SayOnce(name, status.ok()
                      ? ""
                      : fmt::format("model {} is not in the catalogue as it is in the repository: "
                                    "{}",
                                    name, std::string(status.message())));
    if (!status.ok()) continue;
    published_[name] = now;
    unpublished_.erase(name);
  }
}

void CatalogueRoster::SayOnce(const std::string& name, const std::string& text) {
  if (std::exchange(said_[name], text) != text && !text.empty()) say_(text);
}

}  // namespace torchfleet::cli
