#include "registry/state/fleet_state.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <random>
#include <string>
#include <vector>

#include "base/status.h"
#include "registry/state/keys.h"
#include "tests/unit/registry/fleet_model.h"

namespace torchfleet::registry {
namespace {

// A store by hand: commits at revisions, each told to the state at once.
class Written {
 public:
  explicit Written(FleetState& state) : state_(state) {
    state_.Replace({}, {}, {.incarnation = "life", .revision = revision_});
  }

  // In one commit; a key without a value goes.
  FleetNews Commit(std::vector<std::pair<std::string, Value>> writes, Space space = Space::kLive) {
    ++revision_;
    std::vector<Item> events;
    for (auto& [key, value] : writes) {
      events.push_back({.key = key, .value = value, .created = 0, .modified = revision_});
    }
    return state_.Apply(space, events, revision_);
  }
  void Register(const std::string& id, const std::string& model = "mnist",
                v1::WorkerState worker_state = v1::WORKER_STATE_READY) {
    Commit({{Key(kConditions, id), Bytes(ACondition(id, worker_state))},
            {Key(kLoads, id), Bytes(ALoad(0))},
            {Key(kWorkers, id), Bytes(AWorkerOf(id, model))}});
  }
  FleetNews Leave(const std::string& id) {
    return Commit({{Key(kConditions, id), nullptr},
                   {Key(kLoads, id), nullptr},
                   {Key(kWorkers, id), nullptr}});
  }
  uint64_t revision() const { return revision_; }

 private:
  FleetState& state_;
  uint64_t revision_ = 100;
};

v1::WatchResponse Snapshot(const FleetState& state, const WatchFilter& filter = {}) {
  return Parsed(state.Snapshot(filter));
}

v1::WatchResponse News(const FleetState& state, uint64_t after, const WatchFilter& filter = {}) {
  REQUIRE(state.Resumable({"life", after}));
  const auto news = state.News(after, filter);
  return Parsed(news ? *news : state.NoNews());
}

TEST_CASE("FleetState: an endpoint is joined from its keys", "[registry][state]") {
  FleetState state({.ttl = absl::Seconds(5)});
  Written written(state);
  written.Register("b");
  v1::WatchResponse::Condition draining = ACondition("a", v1::WORKER_STATE_DRAINING);
  draining.set_drain_phase(v1::DRAIN_PHASE_FINISHING);
  draining.set_disconnected(true);
  draining.set_reason("tired");
  written.Commit({{Key(kConditions, "a"), Bytes(draining)},
                  {Key(kLoads, "a"), Bytes(ALoad(7))},
                  {Key(kWorkers, "a"), Bytes(AWorker("a"))},
                  {Key(kLeft, "a"), Text("out of memory")}});

  const v1::WatchResponse all = Snapshot(state);
  CHECK(all.incarnation() == "life");
  CHECK(all.revision() == written.revision());
  REQUIRE(all.snapshot().endpoints_size() == 2);
  const v1::Endpoint& a = all.snapshot().endpoints(0);
  CHECK(a.worker().SerializeAsString() == AWorker("a").SerializeAsString());
  CHECK(a.epoch() == written.revision());
  CHECK(a.state() == v1::WORKER_STATE_DRAINING);
  CHECK(a.drain_phase() == v1::DRAIN_PHASE_FINISHING);
  CHECK(a.disconnected());
  CHECK(a.reason() == "tired");
  CHECK(a.load().queued() == 7);
  CHECK(a.ttl_ms() == 5000);
  CHECK(a.last_leave_reason() == "out of memory");
  CHECK(all.snapshot().endpoints(1).worker().worker_id() == "b");
  CHECK(state.CountInState(v1::WORKER_STATE_READY) == 1);
  CHECK(state.CountInState(v1::WORKER_STATE_DRAINING) == 1);
  CHECK(state.disconnected() == 1);
  CHECK(state.Find("a")->epoch == written.revision());
  CHECK_FALSE(state.Find("c"));
  CHECK(state.OfModel("mnist").size() == 2);

  CHECK(written.Leave("a").gone == std::vector<std::string>{"a"});
  CHECK(written.Leave("a").gone.empty());
  CHECK(state.disconnected() == 0);
  CHECK(state.CountInState(v1::WORKER_STATE_DRAINING) == 0);
}

TEST_CASE("FleetState: who changed its condition is told as a condition, once",
          "[registry][state]") {
  FleetState state({});
  Written written(state);
  written.Register("w");
  written.Register("still");
  const uint64_t seen = written.revision();
  for (uint32_t queued = 1; queued <= 10; ++queued) {
    written.Commit({{Key(kLoads, "w"), Bytes(ALoad(queued))}});
  }
  CHECK(state.urgent() == seen);
  written.Commit({{Key(kConditions, "w"), Bytes(ACondition("w", v1::WORKER_STATE_DRAINING))}});
  CHECK(state.urgent() == written.revision());
  const v1::WatchResponse news = News(state, seen);
  CHECK(news.revision() == written.revision());
  CHECK(news.delta().updated_size() == 0);
  REQUIRE(news.delta().conditions_size() == 1);
  CHECK(news.delta().conditions(0).worker_id() == "w");
  CHECK(news.delta().conditions(0).state() == v1::WORKER_STATE_DRAINING);
  CHECK(news.delta().conditions(0).load().queued() == 10);
  // A watcher from before its registration gets it whole.
  CHECK(News(state, seen - 2).delta().updated_size() == 2);
  CHECK_FALSE(state.News(written.revision(), {}));
}

TEST_CASE("FleetState: what is written again as it was is no news", "[registry][state]") {
  FleetState state({});
  Written written(state);
  written.Register("w");
  const uint64_t seen = written.revision();
  written.Commit({{Key(kLoads, "w"), Bytes(ALoad(0))},
                  {Key(kConditions, "w"), Bytes(ACondition("w", v1::WORKER_STATE_READY))}});
  written.Commit({{Key(kChanges, "1"), Text("who changed what")}}, Space::kCatalogue);
  CHECK_FALSE(state.News(seen, {}));
}

TEST_CASE("FleetState: who is gone is removed, who came back is an update", "[registry][state]") {
  FleetState state({});
  Written written(state);
  written.Register("w");
  written.Register("v");
  const uint64_t seen = written.revision();
  written.Leave("w");
  written.Leave("v");
  written.Register("v");
  const auto delta = News(state, seen).delta();
  REQUIRE(delta.removed_size() == 1);
  CHECK(delta.removed(0) == "w");
  REQUIRE(delta.updated_size() == 1);
  CHECK(delta.updated(0).epoch() == written.revision());
}

TEST_CASE("FleetState: of what is gone only the last is remembered", "[registry][state]") {
  FleetState state({.most_gone = 2});
  Written written(state);
  for (const char* id : {"a", "b", "c", "d"}) written.Register(id);
  const uint64_t seen = written.revision();
  for (const char* id : {"a", "b", "c"}) written.Leave(id);
  CHECK_FALSE(state.Resumable({"life", seen}));
  REQUIRE(state.Resumable({"life", seen + 1}));
  CHECK(News(state, seen + 1).delta().removed_size() == 2);
  CHECK_FALSE(state.Resumable({"another", written.revision()}));
  // Ahead of this registry: it gets there.
  CHECK(state.Resumable({"life", written.revision() + 5}));
}

TEST_CASE("FleetState: models and routes come with their revisions", "[registry][state]") {
  FleetState state({});
  Written written(state);
  v1::Model model;
  model.set_name("mnist");
  (*model.mutable_aliases())["prod"] = "3";
  v1::Route route;
  route.set_model("mnist");
  written.Commit({{Key(kModels, "mnist"), Bytes(model)}, {Key(kRoutes, "mnist"), Bytes(route)}},
                 Space::kCatalogue);
  const auto all = Snapshot(state).snapshot();
  REQUIRE(all.models_size() == 1);
  CHECK(all.models(0).aliases().at("prod") == "3");
  CHECK(all.models(0).revision() == written.revision());
  REQUIRE(all.routes_size() == 1);
  CHECK(all.routes(0).revision() == written.revision());
  CHECK(state.models() == 1);

  const uint64_t seen = written.revision();
  written.Commit({{Key(kModels, "mnist"), Bytes(model)}, {Key(kRoutes, "mnist"), nullptr}},
                 Space::kCatalogue);
  const auto delta = News(state, seen).delta();
  REQUIRE(delta.models_size() == 1);
  CHECK(delta.models(0).revision() == written.revision());
  REQUIRE(delta.removed_routes_size() == 1);
  CHECK(delta.removed_routes(0) == "mnist");
  CHECK_FALSE(state.News(seen, Of({"other"})));
}

TEST_CASE("FleetState: a filter sees who moves to another model go", "[registry][state]") {
  FleetState state({});
  Written written(state);
  written.Register("w", "a");
  const uint64_t seen = written.revision();
  written.Register("w", "b");
  written.Register("w", "c");
  CHECK(News(state, seen, Of({"a"})).delta().removed_size() == 1);
  CHECK(News(state, seen, Of({"c"})).delta().updated_size() == 1);
  CHECK(Snapshot(state, Of({"a"})).snapshot().endpoints_size() == 0);
  const uint64_t later = written.revision();
  written.Commit({{Key(kLoads, "w"), Bytes(ALoad(1))}});
  CHECK_FALSE(state.News(later, Of({"a"})));
}

TEST_CASE("FleetState: what is no message of ours is not there", "[registry][state]") {
  FleetState state({});
  Written written(state);
  const Value noise = Text("\xff\xff\xff");
  written.Register("w");
  written.Commit({{Key(kWorkers, "v"), noise}, {Key(kLoads, "w"), noise}, {"unheard/of", noise}});
  written.Commit({{Key(kModels, "m"), noise}, {Key(kRoutes, "m"), noise}}, Space::kCatalogue);
  const auto all = Snapshot(state).snapshot();
  CHECK(all.endpoints_size() == 1);
  CHECK(all.models_size() == 0);
  CHECK(all.routes_size() == 0);
}

TEST_CASE("FleetState: a wish to drain is told once and stands until it goes",
          "[registry][state]") {
  FleetState state({});
  Written written(state);
  written.Register("w");
  v1::DrainRequest wish;
  wish.set_actor("me");
  CHECK(written.Commit({{Key(kDrains, "w"), Bytes(wish)}}).wishes == std::vector<std::string>{"w"});
  REQUIRE(state.DrainWish("w"));
  CHECK(*state.DrainWish("w") == wish.SerializeAsString());
  CHECK(written.Commit({{Key(kDrains, "w"), nullptr}}).wishes.empty());
  CHECK_FALSE(state.DrainWish("w"));
}

TEST_CASE("WatchFilter: refuses what nobody needs", "[registry][state]") {
  v1::WatchRequest request;
  request.add_models("");
  CHECK(BadField(WatchFilter::Of(request).status()) == "models");
  request.set_models(0, std::string(257, 'x'));
  CHECK(BadField(WatchFilter::Of(request).status()) == "models");
  request.Clear();
  for (int i = 0; i <= 1000; ++i) request.add_models("m" + std::to_string(i));
  CHECK(BadField(WatchFilter::Of(request).status()) == "models");
  CHECK(WatchFilter::Of({})->all());
}

TEST_CASE("FleetState: watchers with any filter, however rarely they hear, know the whole",
          "[registry][state]") {
  std::minstd_rand random(GENERATE(1, 2, 3, 4, 5, 6, 7, 8));
  FleetState state({.ttl = absl::Seconds(5), .most_gone = 3});
  Plain plain;
  Position position{"life", 1};
  std::vector<SeenBy> watchers(6);
  for (size_t i = 2; i < watchers.size(); ++i) {
    watchers[i].filter = i % 2 ? Of({"x"}) : Of({"y", "z"});
  }
  state.Replace({}, {}, position);
  for (int step = 0; step < 1500; ++step) {
    const auto [space, events] = RandomCommit(random, plain, ++position.revision);
    if (random() % 60 == 0) {
      // The store was away: everything anew, in this life or in another one.
      if (random() % 3 == 0) position.incarnation += "'";
      state.Replace(InOrder(plain, true), InOrder(plain, false), position);
    } else if (random() % 60 == 0) {
      // Some commits pass unheard before everything comes anew.
      for (int i = 0; i < 5; ++i) RandomCommit(random, plain, ++position.revision);
      state.Replace(InOrder(plain, true), InOrder(plain, false), position);
    } else {
      state.Apply(space, events, position.revision);
    }
    for (size_t i = 0; i < watchers.size(); ++i) {
      if (random() % (1 + 8 * (i % 3)) != 0) continue;
      if (random() % 50 == 0) watchers[i].position = {};
      watchers[i].Hear(state);
      REQUIRE(watchers[i].position.revision == position.revision);
      REQUIRE(watchers[i].strange == 0);
      REQUIRE(watchers[i].seen == Expected(plain, watchers[i].filter));
    }
  }
}

}  // namespace
}  // namespace torchfleet::registry
