#include "registry/state/fleet_state.h"

#include <algorithm>
#include <set>

#include "registry/state/keys.h"
#include "registry/state/wire_bytes.h"

namespace torchfleet::registry {
namespace {

using v1::WatchResponse;

// Whether watchers can parse it as part of a message of ours.
template <typename Message>
bool IsMessage(const Value& value) {
  Message message;
  return value && message.ParseFromString(*value);
}

bool Same(const Value& a, const Value& b) { return a == b || (a && b && *a == *b); }

std::string_view Bytes(const Value& value) { return value ? std::string_view(*value) : ""; }

}  // namespace

FleetState::FleetState(Options options)
    : options_(options),
      endpoints_(options.most_gone),
      models_(options.most_gone),
      routes_(options.most_gone) {}

FleetNews FleetState::Replace(std::span<const Item> catalogue, std::span<const Item> live,
                              const Position& position) {
  if (position.incarnation != position_.incarnation || position.revision < position_.revision) {
    endpoints_.Clear();
    models_.Clear();
    routes_.Clear();
    left_.clear();
    drains_.clear();
    by_state_ = {};
    disconnected_ = 0;
    begun_ = position.revision;
    ++life_;
  }
  position_ = position;
  Urgent();
  ReplaceCatalogue(catalogue);
  return ReplaceLive(live);
}

void FleetState::ReplaceCatalogue(std::span<const Item> catalogue) {
  std::set<std::string_view> keys;
  for (const Item& item : catalogue) {
    keys.insert(item.key);
    ApplyCatalogue(item);
  }
  for (auto [entries, kind] : {std::pair(&models_, kModels), std::pair(&routes_, kRoutes)}) {
    std::vector<std::string> gone;
    entries->ForEach([&, kind = kind](const std::string& name, const Entry&) {
      if (!keys.contains(Key(kind, name))) gone.push_back(name);
    });
    for (const std::string& name : gone) entries->Remove(name, position_.revision);
  }
}

FleetNews FleetState::ReplaceLive(std::span<const Item> live) {
  std::set<std::string_view> keys;
  for (const Item& item : live) keys.insert(item.key);
  std::vector<std::string> gone;
  endpoints_.ForEach([&](const std::string& worker_id, const Endpoint&) {
    if (!keys.contains(Key(kWorkers, worker_id))) gone.push_back(worker_id);
  });
  for (const std::string& worker_id : gone) RemoveWorker(worker_id);
  std::erase_if(drains_, [&](const auto& e) { return !keys.contains(Key(kDrains, e.first)); });
  std::vector<std::string> back;
  for (const auto& [worker_id, why] : left_) {
    if (!keys.contains(Key(kLeft, worker_id))) back.push_back(worker_id);
  }
  for (const std::string& worker_id : back) ApplyLeft(worker_id, nullptr);
  FleetNews news = Apply(Space::kLive, live, position_.revision);
  news.gone.insert(news.gone.end(), gone.begin(), gone.end());
  return news;
}

FleetNews FleetState::Apply(Space space, std::span<const Item> events, uint64_t revision) {
  position_.revision = revision;
  FleetNews news;
  if (space == Space::kCatalogue) {
    for (const Item& item : events) ApplyCatalogue(item);
    return news;
  }
  // A worker before what is said of it, whatever the order of its keys.
  for (const Item& item : events) {
    if (!KeyIs(kWorkers, item.key)) continue;
    const std::string_view worker_id = NameOf(kWorkers, item.key);
    if (ApplyWorker(worker_id, item)) news.gone.emplace_back(worker_id);
  }
  for (const Item& item : events) {
    if (KeyIs(kConditions, item.key)) {
      ApplyCondition(NameOf(kConditions, item.key), item.value);
    } else if (KeyIs(kLoads, item.key)) {
      ApplyLoad(NameOf(kLoads, item.key), item.value);
    } else if (KeyIs(kLeft, item.key)) {
      ApplyLeft(NameOf(kLeft, item.key), item.value);
    } else if (KeyIs(kDrains, item.key)) {
      const std::string worker_id(NameOf(kDrains, item.key));
      if (!item.value) {
        drains_.erase(worker_id);
      } else if (IsMessage<v1::DrainRequest>(item.value)) {
        drains_[worker_id] = item.value;
        news.wishes.push_back(worker_id);
      }
    }
  }
  return news;
}

void FleetState::ApplyCatalogue(const Item& item) {
  const bool is_model = KeyIs(kModels, item.key);
  if (!is_model && !KeyIs(kRoutes, item.key)) return;
  auto& entries = is_model ? models_ : routes_;
  const std::string_view name = NameOf(is_model ? kModels : kRoutes, item.key);
  const bool valid = is_model ? IsMessage<v1::Model>(item.value) : IsMessage<v1::Route>(item.value);
  const Entry* known = entries.Find(name);
  if (known && valid && known->modified == item.modified) return;
  Urgent();
  if (!valid) return entries.Remove(name, position_.revision);
  entries.Change(name, position_.revision) = {item.value, item.modified};
}

bool FleetState::ApplyWorker(std::string_view worker_id, const Item& item) {
  v1::Worker worker;
  if (!item.value || !worker.ParseFromString(*item.value)) return RemoveWorker(worker_id);
  const Endpoint* known = endpoints_.Find(worker_id);
  if (known && known->epoch == item.modified) return false;
  Endpoint& endpoint = endpoints_.Change(worker_id, position_.revision);
  Urgent();
  if (!known) ++by_state_[v1::WORKER_STATE_UNSPECIFIED];
  endpoint.worker = item.value;
  endpoint.epoch = item.modified;
  endpoint.lease = item.lease;
  endpoint.whole = position_.revision;
  if (endpoint.model != worker.model()) {
    if (!endpoint.model.empty()) endpoint.moved = position_.revision;
    endpoint.model = worker.model();
  }
  return false;
}

bool FleetState::RemoveWorker(std::string_view worker_id) {
  Endpoint* endpoint = endpoints_.Find(worker_id);
  if (!endpoint) return false;
  Urgent();
  SetCondition(*endpoint, nullptr);
  --by_state_[v1::WORKER_STATE_UNSPECIFIED];
  endpoint->worker = endpoint->load = nullptr;
  endpoint->epoch = 0;
  endpoints_.Remove(worker_id, position_.revision);
  return true;
}

void FleetState::ApplyCondition(std::string_view worker_id, const Value& value) {
  const Endpoint* known = endpoints_.Find(worker_id);
  if (!known || Same(known->condition, value)) return;
  Urgent();
  SetCondition(endpoints_.Change(worker_id, position_.revision), value);
}

void FleetState::SetCondition(Endpoint& endpoint, const Value& value) {
  WatchResponse::Condition condition;
  const bool valid = value && condition.ParseFromString(*value);
  endpoint.condition = valid ? value : nullptr;
  const bool known = valid && v1::WorkerState_IsValid(condition.state());
  --by_state_[endpoint.state];
  disconnected_ -= endpoint.disconnected ? 1 : 0;
  endpoint.state = known ? condition.state() : v1::WORKER_STATE_UNSPECIFIED;
  endpoint.disconnected = valid && condition.disconnected();
  ++by_state_[endpoint.state];
  disconnected_ += endpoint.disconnected ? 1 : 0;
}

void FleetState::ApplyLoad(std::string_view worker_id, const Value& value) {
  const Endpoint* known = endpoints_.Find(worker_id);
  if (!known || Same(known->load, value)) return;
  endpoints_.Change(worker_id, position_.revision).load =
      IsMessage<v1::Load>(value) ? value : nullptr;
}

void FleetState::ApplyLeft(std::string_view worker_id, const Value& value) {
  const auto known = left_.find(worker_id);
  if (Same(known == left_.end() ? nullptr : known->second, value)) return;
  if (value) {
    left_.insert_or_assign(std::string(worker_id), value);
  } else {
    left_.erase(known);
  }
  if (endpoints_.Find(worker_id)) {
    Urgent();
    endpoints_.Change(worker_id, position_.revision).whole = position_.revision;
  }
}

std::optional<Registration> FleetState::Find(std::string_view worker_id) const {
  const Endpoint* endpoint = endpoints_.Find(worker_id);
  if (!endpoint) return std::nullopt;
  return Registration{std::string(worker_id), endpoint->epoch, endpoint->lease};
}

std::vector<Registration> FleetState::OfModel(std::string_view model) const {
  std::vector<Registration> found;
  endpoints_.ForEach([&](const std::string& worker_id, const Endpoint& endpoint) {
    if (endpoint.model == model) found.push_back({worker_id, endpoint.epoch, endpoint.lease});
  });
  return found;
}

Value FleetState::DrainWish(std::string_view worker_id) const {
  const auto found = drains_.find(worker_id);
  return found == drains_.end() ? nullptr : found->second;
}

bool FleetState::Resumable(const Position& from) const {
  return from.incarnation == position_.incarnation &&
         from.revision >=
             std::max({begun_, endpoints_.compacted(), models_.compacted(), routes_.compacted()});
}

void FleetState::AppendEndpoint(std::string& out, uint32_t field, std::string_view worker_id,
                                const Endpoint& endpoint) const {
  WatchResponse::Condition condition;
  if (endpoint.condition) condition.ParseFromString(*endpoint.condition);
  std::string bytes;
  bytes.reserve(endpoint.worker->size() + 64);
  AppendMessage(bytes, v1::Endpoint::kWorkerFieldNumber, *endpoint.worker);
  AppendNumber(bytes, v1::Endpoint::kEpochFieldNumber, endpoint.epoch);
  AppendNumber(bytes, v1::Endpoint::kStateFieldNumber, static_cast<uint64_t>(endpoint.state));
  if (endpoint.load) AppendMessage(bytes, v1::Endpoint::kLoadFieldNumber, *endpoint.load);
  AppendNumber(bytes, v1::Endpoint::kTtlMsFieldNumber,
               static_cast<uint64_t>(absl::ToInt64Milliseconds(options_.ttl)));
  if (const auto left = left_.find(worker_id); left != left_.end()) {
    AppendText(bytes, v1::Endpoint::kLastLeaveReasonFieldNumber, *left->second);
  }
  AppendNumber(bytes, v1::Endpoint::kDisconnectedFieldNumber, endpoint.disconnected ? 1 : 0);
  AppendText(bytes, v1::Endpoint::kReasonFieldNumber, condition.reason());
  AppendNumber(bytes, v1::Endpoint::kDrainPhaseFieldNumber,
               static_cast<uint64_t>(condition.drain_phase()));
  AppendMessage(out, field, bytes);
}

std::string FleetState::Response(uint32_t field, std::string_view change) const {
  std::string out;
  out.reserve(change.size() + position_.incarnation.size() + 32);
  AppendText(out, WatchResponse::kIncarnationFieldNumber, position_.incarnation);
  AppendNumber(out, WatchResponse::kRevisionFieldNumber, position_.revision);
  AppendMessage(out, field, change);
  return out;
}

namespace {

// The value with the revision that the store's bytes leave out.
template <typename Message, typename Entry>
void AppendEntry(std::string& out, uint32_t field, const Entry& entry) {
  std::string bytes = *entry.value;
  AppendNumber(bytes, Message::kRevisionFieldNumber, entry.modified);
  AppendMessage(out, field, bytes);
}

}  // namespace

std::string FleetState::Snapshot(const WatchFilter& filter) const {
  using Whole = WatchResponse::Snapshot;
  std::string whole;
  endpoints_.ForEach([&](const std::string& worker_id, const Endpoint& endpoint) {
    if (!filter.Matches(endpoint.model)) return;
    AppendEndpoint(whole, Whole::kEndpointsFieldNumber, worker_id, endpoint);
  });
  models_.ForEach([&](const std::string& name, const Entry& entry) {
    if (!filter.Matches(name)) return;
    AppendEntry<v1::Model>(whole, Whole::kModelsFieldNumber, entry);
  });
  routes_.ForEach([&](const std::string& name, const Entry& entry) {
    if (!filter.Matches(name)) return;
    AppendEntry<v1::Route>(whole, Whole::kRoutesFieldNumber, entry);
  });
  return Response(WatchResponse::kSnapshotFieldNumber, whole);
}

std::optional<std::string> FleetState::News(uint64_t after, const WatchFilter& filter) const {
  using Delta = WatchResponse::Delta;
  std::string delta;
  endpoints_.ForEachSince(after, [&](const std::string& worker_id, const auto& entry) {
    const Endpoint& endpoint = entry.value;
    const bool matches = filter.Matches(endpoint.model);
    // Of another model now, it may have been of one that the filter lets through.
    if (!entry.here || !matches) {
      if (!matches && endpoint.moved <= after) return;
      return AppendMessage(delta, Delta::kRemovedFieldNumber, worker_id);
    }
    if (endpoint.whole > after) {
      return AppendEndpoint(delta, Delta::kUpdatedFieldNumber, worker_id, endpoint);
    }
    std::string condition(Bytes(endpoint.condition));
    if (!endpoint.condition) {
      AppendText(condition, WatchResponse::Condition::kWorkerIdFieldNumber, worker_id);
    }
    if (endpoint.load) {
      AppendMessage(condition, WatchResponse::Condition::kLoadFieldNumber, *endpoint.load);
    }
    AppendMessage(delta, Delta::kConditionsFieldNumber, condition);
  });
  const auto catalogue = [&]<typename Message>(const ChangeOrder<Entry>& entries, Message,
                                               uint32_t updated, uint32_t removed) {
    entries.ForEachSince(after, [&](const std::string& name, const auto& entry) {
      if (!filter.Matches(name)) return;
      if (!entry.here) return AppendMessage(delta, removed, name);
      AppendEntry<Message>(delta, updated, entry.value);
    });
  };
  catalogue(models_, v1::Model(), Delta::kModelsFieldNumber, Delta::kRemovedModelsFieldNumber);
  catalogue(routes_, v1::Route(), Delta::kRoutesFieldNumber, Delta::kRemovedRoutesFieldNumber);
  if (delta.empty()) return std::nullopt;
  return Response(WatchResponse::kDeltaFieldNumber, delta);
}

std::string FleetState::NoNews() const { return Response(WatchResponse::kDeltaFieldNumber, ""); }

}  // namespace torchfleet::registry
