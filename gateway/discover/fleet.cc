#include "gateway/discover/fleet.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace torchfleet::gateway {

Fleet::Outcome Fleet::Apply(const registry::v1::WatchResponse& response, Instant now) {
  const bool forgot = seen_ && response.incarnation() != incarnation_;
  seen_ = true;
  incarnation_ = response.incarnation();
  if (response.has_snapshot()) return Replace(response.snapshot(), forgot, now);
  for (const std::string& worker_id : response.delta().removed()) {
    if (const auto member = members_.find(worker_id); member != members_.end()) {
      Remove(member, now);
    }
  }
  for (const auto& endpoint : response.delta().updated()) Update(endpoint, now);
  for (const auto& condition : response.delta().conditions()) {
    const auto member = members_.find(condition.worker_id());
    if (member == members_.end()) continue;
    auto& endpoint = member->second.endpoint;
    endpoint.set_state(condition.state());
    *endpoint.mutable_load() = condition.load();
    endpoint.set_disconnected(condition.disconnected());
    endpoint.set_reason(condition.reason());
    endpoint.set_drain_phase(condition.drain_phase());
  }
  return {.new_incarnation = forgot};
}

Fleet::Outcome Fleet::Replace(const registry::v1::WatchResponse::Snapshot& snapshot, bool forgot,
                              Instant now) {
  Outcome outcome{.new_incarnation = forgot};
  std::set<std::string> named;
  for (const auto& endpoint : snapshot.endpoints()) named.insert(endpoint.worker().worker_id());
  for (auto member = members_.begin(); member != members_.end();) {
    if (named.contains(member->first)) {
      ++member;
    } else if (forgot) {
      member->second.kept_until = now + absl::Milliseconds(member->second.endpoint.ttl_ms());
      ++member;
    } else if (member->second.kept_until) {
      // Kept from an earlier incarnation: this one never knew it.
      ++member;
    } else {
      member = Remove(member, now);
    }
  }
  for (const auto& endpoint : snapshot.endpoints()) Update(endpoint, now);
  outcome.kept =
      static_cast<size_t>(std::count_if(members_.begin(), members_.end(), [](const auto& member) {
        return member.second.kept_until.has_value();
      }));
  return outcome;
}

void Fleet::Update(const registry::v1::Endpoint& endpoint, Instant now) {
  const auto& worker = endpoint.worker();
  // Whoever listens there now is not the one that was kept.
  for (auto member = members_.begin(); member != members_.end();) {
    const bool replaced = member->second.kept_until && member->first != worker.worker_id() &&
                          member->second.endpoint.worker().address() == worker.address();
    member = replaced ? Remove(member, now) : std::next(member);
  }
  members_[worker.worker_id()] = {.endpoint = endpoint, .kept_until = std::nullopt};
}

Fleet::Members::iterator Fleet::Remove(Members::iterator member, Instant now) {
  const auto& worker = member->second.endpoint.worker();
  remembered_[{worker.model(), worker.version()}] = now + kRemembered;
  return members_.erase(member);
}

size_t Fleet::Expire(Instant now) {
  size_t gone = 0;
  for (auto member = members_.begin(); member != members_.end();) {
    if (member->second.kept_until && *member->second.kept_until <= now) {
      member = Remove(member, now);
      ++gone;
    } else {
      ++member;
    }
  }
  gone += std::erase_if(remembered_, [&](const auto& version) { return version.second <= now; });
  return gone;
}

std::optional<Instant> Fleet::NextExpiry() const {
  std::optional<Instant> next;
  const auto consider = [&](Instant at) {
    if (!next || at < *next) next = at;
  };
  for (const auto& [id, member] : members_) {
    if (member.kept_until) consider(*member.kept_until);
  }
  for (const auto& [version, until] : remembered_) consider(until);
  return next;
}

FleetSnapshot Fleet::Snapshot() const {
  FleetSnapshot snapshot;
  snapshot.seen = seen_;
  for (const auto& [version, until] : remembered_) {
    snapshot.models[version.first].versions[version.second];
  }
  for (const auto& [id, member] : members_) {
    const auto& worker = member.endpoint.worker();
    FleetVersion& version = snapshot.models[worker.model()].versions[worker.version()];
    version.endpoints.push_back(member.endpoint);
    if (member.endpoint.state() == registry::v1::WORKER_STATE_READY) {
      version.ready.push_back(worker.address());
    }
  }
  return snapshot;
}

}  // namespace torchfleet::gateway
