#include "gateway/discover/fleet.h"

#include <algorithm>
#include <memory>

#include "absl/container/flat_hash_set.h"

namespace torchfleet::gateway {
namespace {

using registry::v1::Endpoint;

// A registration never changes, so its epoch stands for all that the worker said
// of itself; the load is nobody's concern here.
bool Same(const Endpoint& a, const Endpoint& b) {
  return a.epoch() == b.epoch() && a.state() == b.state() && a.disconnected() == b.disconnected() &&
         a.drain_phase() == b.drain_phase() && a.reason() == b.reason() &&
         a.ttl_ms() == b.ttl_ms() && a.worker().address() == b.worker().address() &&
         a.worker().model() == b.worker().model() && a.worker().version() == b.worker().version();
}

}  // namespace

Fleet::Outcome Fleet::Apply(const registry::v1::WatchResponse& response, Instant now) {
  Outcome outcome{.new_incarnation = seen_ && response.incarnation() != incarnation_};
  seen_ = true;
  edits_.SetSeen();
  incarnation_ = response.incarnation();
  if (response.has_snapshot()) {
    outcome.kept = Replace(response.snapshot(), outcome.new_incarnation, now);
  } else {
    Change(response.delta(), now);
  }
  outcome.change = Commit();
  return outcome;
}

void Fleet::SetHeard(bool heard, Instant now) {
  const bool back = heard && !heard_;
  heard_ = heard;
  if (!back) return;
  const auto kept = kept_;
  for (const auto& [until, worker_id] : kept) {
    Member& member = members_.at(worker_id);
    Keep(member, worker_id, now + absl::Milliseconds(member.endpoint->ttl_ms()));
  }
}

size_t Fleet::Replace(const registry::v1::WatchResponse::Snapshot& snapshot, bool forgot,
                      Instant now) {
  absl::flat_hash_set<std::string_view> named;
  for (const auto& endpoint : snapshot.endpoints()) named.insert(endpoint.worker().worker_id());
  std::vector<std::string> gone;
  for (auto& [worker_id, member] : members_) {
    // Kept from an earlier incarnation: this one never knew it.
    const bool kept = member.kept_until != Instant::Infinite();
    if (named.contains(worker_id) || (kept && !forgot)) continue;
    if (forgot) {
      Keep(member, worker_id, now + absl::Milliseconds(member.endpoint->ttl_ms()));
    } else {
      gone.push_back(worker_id);
    }
  }
  for (const std::string& worker_id : gone) Remove(worker_id, now);
  for (const auto& endpoint : snapshot.endpoints()) Update(endpoint, now);
  ReplaceCatalogue(snapshot);
  return kept_.size();
}

void Fleet::ReplaceCatalogue(const registry::v1::WatchResponse::Snapshot& snapshot) {
  absl::flat_hash_set<std::string_view> models, routes;
  for (const auto& model : snapshot.models()) models.insert(model.name());
  for (const auto& route : snapshot.routes()) routes.insert(route.model());
  for (const auto& [name, model] : Snapshot().models) {
    if (model->catalogued && !models.contains(name)) edits_.SetModel(name, nullptr);
  }
  for (const auto& [name, route] : Snapshot().routes) {
    if (!routes.contains(name)) edits_.SetRoute(name, nullptr);
  }
  for (const auto& model : snapshot.models()) SetModel(model);
  for (const auto& route : snapshot.routes()) SetRoute(route);
}

void Fleet::Change(const registry::v1::WatchResponse::Delta& delta, Instant now) {
  for (const std::string& worker_id : delta.removed()) Remove(worker_id, now);
  for (const auto& endpoint : delta.updated()) Update(endpoint, now);
  for (const auto& condition : delta.conditions()) SetCondition(condition);
  for (const std::string& name : delta.removed_models()) edits_.SetModel(name, nullptr);
  for (const std::string& name : delta.removed_routes()) edits_.SetRoute(name, nullptr);
  for (const auto& model : delta.models()) SetModel(model);
  for (const auto& route : delta.routes()) SetRoute(route);
}

void Fleet::SetModel(const registry::v1::Model& model) {
  const FleetModel* const known = Snapshot().Model(model.name());
  if (known && known->catalogued && known->catalogued->revision() == model.revision() &&
      model.revision() != 0) {
    return;
  }
  edits_.SetModel(model.name(), std::make_shared<const registry::v1::Model>(model));
}

void Fleet::SetRoute(const registry::v1::Route& route) {
  const auto known = Snapshot().routes.find(route.model());
  if (known != Snapshot().routes.end() && known->second->revision() == route.revision() &&
      route.revision() != 0) {
    return;
  }
  edits_.SetRoute(route.model(), std::make_shared<const registry::v1::Route>(route));
}

void Fleet::Update(const Endpoint& endpoint, Instant now) {
  const auto& worker = endpoint.worker();
  // Whoever listens there now is not the one that was kept.
  if (const auto there = by_address_.find(worker.address()); there != by_address_.end()) {
    const std::set<std::string> ids = there->second;
    for (const std::string& id : ids) {
      if (id != worker.worker_id() && members_.at(id).kept_until != Instant::Infinite()) {
        Remove(id, now);
      }
    }
  }
  const auto known = members_.find(worker.worker_id());
  if (known != members_.end()) {
    Keep(known->second, worker.worker_id(), Instant::Infinite());
    if (Same(*known->second.endpoint, endpoint)) return;
    const auto& before = known->second.endpoint->worker();
    const bool moved = before.model() != worker.model() || before.version() != worker.version() ||
                       before.address() != worker.address();
    if (moved) Remove(worker.worker_id(), now);
  }
  auto kept = std::make_shared<Endpoint>(endpoint);
  kept->clear_load();
  Put(std::move(kept));
}

void Fleet::SetCondition(const registry::v1::WatchResponse::Condition& condition) {
  const auto known = members_.find(condition.worker_id());
  if (known == members_.end()) return;
  auto endpoint = std::make_shared<Endpoint>(*known->second.endpoint);
  endpoint->set_state(condition.state());
  endpoint->set_disconnected(condition.disconnected());
  endpoint->set_reason(condition.reason());
  endpoint->set_drain_phase(condition.drain_phase());
  if (!Same(*known->second.endpoint, *endpoint)) Put(std::move(endpoint));
}

void Fleet::Put(std::shared_ptr<const Endpoint> endpoint) {
  const auto& worker = endpoint->worker();
  by_address_[worker.address()].insert(worker.worker_id());
  touched_.insert(worker.address());
  edits_.Put(endpoint);
  members_[worker.worker_id()].endpoint = std::move(endpoint);
}

void Fleet::Keep(Member& member, const std::string& worker_id, Instant until) {
  if (member.kept_until != Instant::Infinite()) kept_.erase({member.kept_until, worker_id});
  if (until != Instant::Infinite()) kept_.insert({until, worker_id});
  member.kept_until = until;
}

void Fleet::Remove(const std::string& worker_id, Instant now) {
  const auto found = members_.find(worker_id);
  if (found == members_.end()) return;
  Keep(found->second, worker_id, Instant::Infinite());
  const auto endpoint = found->second.endpoint;
  const auto& worker = endpoint->worker();
  const auto there = by_address_.find(worker.address());
  there->second.erase(worker.worker_id());
  if (there->second.empty()) by_address_.erase(there);
  touched_.insert(worker.address());
  edits_.Remove(worker);
  Remember({worker.model(), worker.version()}, now + kRemembered);
  members_.erase(found);
}

void Fleet::Remember(const VersionKey& version, Instant until) {
  const auto [known, first] = remembered_.try_emplace(version, until);
  if (!first) {
    forgetting_.erase({known->second, version});
    known->second = until;
  }
  forgetting_.insert({until, version});
  edits_.SetRemembered(version.first, version.second, true);
}

Fleet::Expired Fleet::Expire(Instant now) {
  Expired expired;
  while (heard_ && !kept_.empty() && kept_.begin()->first <= now) {
    const std::string worker_id = kept_.begin()->second;
    Remove(worker_id, now);
    ++expired.gone;
  }
  while (!forgetting_.empty() && forgetting_.begin()->first <= now) {
    const VersionKey version = forgetting_.begin()->second;
    forgetting_.erase(forgetting_.begin());
    remembered_.erase(version);
    edits_.SetRemembered(version.first, version.second, false);
    ++expired.gone;
  }
  expired.change = Commit();
  return expired;
}

std::optional<Instant> Fleet::NextExpiry() const {
  std::optional<Instant> next;
  if (heard_ && !kept_.empty()) next = kept_.begin()->first;
  if (!forgetting_.empty() && (!next || forgetting_.begin()->first < *next)) {
    next = forgetting_.begin()->first;
  }
  return next;
}

FleetChange Fleet::Commit() {
  FleetChange change = edits_.Commit();
  for (const std::string& address : touched_) {
    std::optional<uint64_t>& epoch = change.addresses[address];
    const auto there = by_address_.find(address);
    if (there == by_address_.end()) continue;
    for (const std::string& id : there->second) {
      epoch = std::max(epoch.value_or(0), members_.at(id).endpoint->epoch());
    }
  }
  touched_.clear();
  return change;
}

}  // namespace torchfleet::gateway
