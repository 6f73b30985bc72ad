#pragma once
// A plain model of the fleet, to hold the real one against: the store as a map,
// a watcher as a client that heeds what it hears, and what it is to know.

#include <catch2/catch_test_macros.hpp>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "registry/state/fleet_state.h"
#include "registry/state/keys.h"
#include "tests/unit/registry/registrations.h"

namespace torchfleet::registry {

inline Value Bytes(const google::protobuf::MessageLite& message) {
  return std::make_shared<const std::string>(message.SerializeAsString());
}
inline Value Text(const std::string& text) { return std::make_shared<const std::string>(text); }

inline v1::Load ALoad(uint32_t queued) {
  v1::Load load;
  load.set_queued(queued);
  return load;
}

inline v1::WatchResponse::Condition ACondition(const std::string& worker_id,
                                               v1::WorkerState state) {
  v1::WatchResponse::Condition condition;
  condition.set_worker_id(worker_id);
  condition.set_state(state);
  return condition;
}

inline v1::Worker AWorkerOf(const std::string& worker_id, const std::string& model) {
  v1::Worker worker = AWorker(worker_id);
  worker.set_model(model);
  return worker;
}

inline v1::WatchResponse Parsed(const std::string& bytes) {
  v1::WatchResponse response;
  REQUIRE(response.ParseFromString(bytes));
  return response;
}

inline WatchFilter Of(const std::vector<std::string>& models) {
  v1::WatchRequest request;
  request.mutable_models()->Assign(models.begin(), models.end());
  return *WatchFilter::Of(request);
}

// The store as a plain map, and a watcher as a plain client.
using Plain = std::map<std::string, Item>;

inline std::vector<Item> InOrder(const Plain& plain, bool catalogue) {
  std::vector<Item> items;
  for (const auto& [key, item] : plain) {
    if ((KeyIs(kModels, key) || KeyIs(kRoutes, key)) == catalogue) items.push_back(item);
  }
  return items;
}

struct SeenBy {
  WatchFilter filter;
  Position position;
  std::map<std::string, std::string> seen;
  // Conditions of endpoints that it has not heard of.
  int strange = 0;

  void Hear(const FleetState& state) {
    std::optional<std::string> news = state.Snapshot(filter);
    if (state.Resumable(position)) {
      if (position.revision > state.position().revision) return;
      news = state.News(position.revision, filter);
    } else {
      seen.clear();
    }
    position = state.position();
    if (news) Heed(Parsed(*news));
  }
  void Heed(const v1::WatchResponse& news) {
    const auto put = [&](const std::string& kind, const std::string& name, const auto& message) {
      seen[kind + name] = message.DebugString();
    };
    for (const auto& e : news.snapshot().endpoints()) Endpoint(e);
    for (const auto& m : news.snapshot().models()) put("m/", m.name(), m);
    for (const auto& r : news.snapshot().routes()) put("r/", r.model(), r);
    for (const auto& id : news.delta().removed()) endpoints.erase(id), seen.erase("w/" + id);
    for (const auto& e : news.delta().updated()) Endpoint(e);
    for (const auto& c : news.delta().conditions()) {
      if (!endpoints.contains(c.worker_id())) {
        ++strange;
        continue;
      }
      v1::Endpoint e = endpoints[c.worker_id()];
      e.set_state(c.state());
      *e.mutable_load() = c.load();
      e.set_disconnected(c.disconnected());
      e.set_reason(c.reason());
      e.set_drain_phase(c.drain_phase());
      Endpoint(e);
    }
    for (const auto& name : news.delta().removed_models()) seen.erase("m/" + name);
    for (const auto& m : news.delta().models()) put("m/", m.name(), m);
    for (const auto& name : news.delta().removed_routes()) seen.erase("r/" + name);
    for (const auto& r : news.delta().routes()) put("r/", r.model(), r);
  }
  void Endpoint(const v1::Endpoint& e) {
    endpoints[e.worker().worker_id()] = e;
    seen["w/" + e.worker().worker_id()] = e.DebugString();
  }
  std::map<std::string, v1::Endpoint> endpoints;
};

// What a watcher is to know, from the map alone.
inline std::map<std::string, std::string> Expected(const Plain& plain, const WatchFilter& filter) {
  std::map<std::string, std::string> expected;
  for (const auto& [key, item] : plain) {
    if (KeyIs(kWorkers, key)) {
      const std::string id(NameOf(kWorkers, key));
      v1::Endpoint e;
      e.mutable_worker()->ParseFromString(*item.value);
      if (!filter.Matches(e.worker().model())) continue;
      e.set_epoch(item.modified);
      v1::WatchResponse::Condition c;
      c.ParseFromString(*plain.at(Key(kConditions, id)).value);
      e.set_state(c.state());
      e.set_disconnected(c.disconnected());
      e.mutable_load()->ParseFromString(*plain.at(Key(kLoads, id)).value);
      e.set_ttl_ms(5000);
      if (plain.contains(Key(kLeft, id))) e.set_last_leave_reason(*plain.at(Key(kLeft, id)).value);
      expected["w/" + id] = e.DebugString();
    } else if (KeyIs(kModels, key) && filter.Matches(NameOf(kModels, key))) {
      v1::Model m;
      m.ParseFromString(*item.value);
      m.set_revision(item.modified);
      expected["m/" + m.name()] = m.DebugString();
    } else if (KeyIs(kRoutes, key) && filter.Matches(NameOf(kRoutes, key))) {
      v1::Route r;
      r.ParseFromString(*item.value);
      r.set_revision(item.modified);
      expected["r/" + r.model()] = r.DebugString();
    }
  }
  return expected;
}

// One random commit on the map; what it changed, and in which space.
inline std::pair<Space, std::vector<Item>> RandomCommit(std::minstd_rand& random, Plain& plain,
                                                        uint64_t revision) {
  const std::string models[] = {"x", "y", "z"};
  const std::string id(1, static_cast<char>('a' + random() % 6));
  const std::string model = models[random() % 3];
  std::vector<std::pair<std::string, Value>> writes;
  Space space = Space::kLive;
  v1::WatchResponse::Condition condition =
      ACondition(id, static_cast<v1::WorkerState>(1 + random() % 4));
  condition.set_disconnected(random() % 4 == 0);
  const bool here = plain.contains(Key(kWorkers, id));
  switch (random() % 6) {
    case 0:
      writes = {{Key(kConditions, id), Bytes(condition)},
                {Key(kLoads, id), Bytes(ALoad(random() % 3))},
                {Key(kWorkers, id), Bytes(AWorkerOf(id, model))}};
      break;
    case 1:
      if (here) {
        writes = {{Key(kConditions, id), nullptr},
                  {Key(kLoads, id), nullptr},
                  {Key(kWorkers, id), nullptr},
                  {Key(kLeft, id), random() % 2 ? Text(model) : nullptr}};
      }
      break;
    case 2: {
      space = Space::kCatalogue;
      v1::Model m;
      m.set_name(model);
      (*m.mutable_labels())["l"] = id;
      v1::Route r;
      r.set_model(model);
      if (random() % 2) writes.emplace_back(Key(kModels, model), random() % 3 ? Bytes(m) : nullptr);
      if (random() % 2) writes.emplace_back(Key(kRoutes, model), random() % 3 ? Bytes(r) : nullptr);
      break;
    }
    default:
      if (here && random() % 2) writes.emplace_back(Key(kConditions, id), Bytes(condition));
      if (here) writes.emplace_back(Key(kLoads, id), Bytes(ALoad(random() % 3)));
  }
  std::vector<Item> events;
  for (auto& [key, value] : writes) {
    if (!value && !plain.contains(key)) continue;
    events.push_back({.key = key, .value = value, .created = revision, .modified = revision});
    if (value) {
      plain[key] = events.back();
    } else {
      plain.erase(key);
    }
  }
  return {space, events};
}

}  // namespace torchfleet::registry
