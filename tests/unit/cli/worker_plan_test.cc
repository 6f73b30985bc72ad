#include "cli/up/worker_plan.h"

#include <catch2/catch_test_macros.hpp>

namespace torchfleet::cli {
namespace {

namespace v1 = registry::v1;
using Ids = std::vector<std::string>;

// A fleet and the catalogue that it has, changed by hand.
class AFleet {
 public:
  v1::Placement& Placement(const std::string& model) {
    models_[model].set_name(model);
    return *models_[model].mutable_placement();
  }
  v1::Model& Model(const std::string& model) {
    models_[model].set_name(model);
    return models_[model];
  }
  v1::Route& Route(const std::string& model) {
    routes_[model].set_model(model);
    return routes_[model];
  }
  void Revise(const std::string& model, uint64_t revision) {
    models_[model].set_revision(revision);
  }
  void Ready(const std::string& id, uint32_t in_flight = 0) {
    v1::Endpoint endpoint;
    endpoint.mutable_worker()->set_worker_id(id);
    endpoint.set_state(v1::WORKER_STATE_READY);
    endpoint.mutable_load()->set_running(in_flight / 2);
    endpoint.mutable_load()->set_queued(in_flight - in_flight / 2);
    endpoint.mutable_load()->set_capacity(8);
    workers_[id] = endpoint;
  }
  void Disconnected(const std::string& id) { workers_[id].set_disconnected(true); }
  void Gone(const std::string& id) { workers_.erase(id); }

  FleetMirror Mirror() const {
    v1::WatchResponse all;
    all.mutable_snapshot();
    for (const auto& [id, worker] : workers_) *all.mutable_snapshot()->add_endpoints() = worker;
    for (const auto& [name, model] : models_) *all.mutable_snapshot()->add_models() = model;
    for (const auto& [name, route] : routes_) *all.mutable_snapshot()->add_routes() = route;
    FleetMirror mirror;
    mirror.Apply(all);
    return mirror;
  }

 private:
  std::map<std::string, v1::Endpoint> workers_;
  std::map<std::string, v1::Model> models_;
  std::map<std::string, v1::Route> routes_;
};

class APlan {
 public:
  explicit APlan(const FleetPlan& plan) : plan(plan, absl::Seconds(60)) {}
  Ids At(int seconds, const AFleet& fleet) {
    Ids ids;
    for (const PlannedWorker& worker :
         plan.Decide(fleet.Mirror(), Instant::FromStart(absl::Seconds(seconds)))) {
      ids.push_back(worker.worker_id());
    }
    return ids;
  }

  WorkerPlan plan;
};

FleetPlan Of(std::map<std::string, std::vector<int64_t>> models) {
  FleetPlan plan;
  plan.models = std::move(models);
  return plan;
}

TEST_CASE("WorkerPlan: what the catalogue wishes goes before what the user said", "[cli][up]") {
  FleetPlan said = Of({{"a", {1}}, {"b", {2, 3}}, {"c", {1}}, {"d", {1}}});
  said.replicas = {{"a", 2}, {"c", 2}};
  AFleet fleet;
  fleet.Placement("a").set_replicas(3);
  fleet.Revise("a", 9);
  fleet.Placement("b").set_unloaded(true);
  fleet.Placement("c");
  APlan plan(said);
  CHECK(plan.At(0, fleet) == Ids{"a-1-0", "a-1-1", "a-1-2", "c-1-0", "c-1-1", "d-1-0"});
  CHECK(plan.plan.Decide(fleet.Mirror(), Instant())[0].wish == 9);
  CHECK(plan.plan.TakeNotes().empty());
}

TEST_CASE("WorkerPlan: a new version starts, and the old one goes when all of it is up",
          "[cli][up]") {
  AFleet fleet;
  fleet.Placement("m").set_replicas(2);
  APlan plan(Of({{"m", {1}}}));
  for (const char* id : {"m-1-0", "m-1-1"}) fleet.Ready(id);
  CHECK(plan.At(0, fleet) == Ids{"m-1-0", "m-1-1"});
  plan.plan.SetVersions("m", {2});
  const Ids both = {"m-1-0", "m-1-1", "m-2-0", "m-2-1"};
  CHECK(plan.At(1, fleet) == both);
  CHECK(plan.plan.Versions().at("m") == std::vector<int64_t>{1, 2});
  fleet.Ready("m-2-0");
  CHECK(plan.At(2, fleet) == both);
  fleet.Ready("m-2-1");
  fleet.Disconnected("m-2-1");
  CHECK(plan.At(3, fleet) == both);
  CHECK(plan.plan.TakeNotes() == std::vector<std::string>{"model m: version 2 starts"});
  fleet.Ready("m-2-1");
  CHECK(plan.At(4, fleet) == Ids{"m-2-0", "m-2-1"});
  CHECK(plan.plan.Versions().at("m") == std::vector<int64_t>{2});
  CHECK(plan.plan.TakeNotes() == std::vector<std::string>{"model m: version 1 goes; 2 serves"});
}

TEST_CASE("WorkerPlan: unloaded in the midst of an update, then loaded", "[cli][up]") {
  AFleet fleet;
  APlan plan(Of({{"m", {1}}}));
  fleet.Ready("m-1-0");
  CHECK(plan.At(0, fleet) == Ids{"m-1-0"});
  plan.plan.SetVersions("m", {2});
  CHECK(plan.At(1, fleet) == Ids{"m-1-0", "m-2-0"});
  fleet.Placement("m").set_unloaded(true);
  CHECK(plan.At(2, fleet).empty());
  // The catalogue goes on to know it.
  CHECK(plan.plan.Versions().at("m") == std::vector<int64_t>{2});
  fleet.Gone("m-1-0");
  fleet.Placement("m").set_unloaded(false);
  CHECK(plan.At(3, fleet) == Ids{"m-2-0"});
}

TEST_CASE("WorkerPlan: between the bounds the load decides, for each version", "[cli][up]") {
  AFleet fleet;
  fleet.Placement("m").set_min_replicas(2);
  fleet.Placement("m").set_max_replicas(4);
  APlan plan(Of({{"m", {1, 2}}}));
  const Ids least = {"m-1-0", "m-1-1", "m-2-0", "m-2-1"};
  CHECK(plan.At(0, fleet) == least);
  CHECK(plan.plan.TakeNotes().empty());
  fleet.Ready("m-1-0", 9);
  fleet.Ready("m-1-1", 6);
  for (const char* id : {"m-2-0", "m-2-1"}) fleet.Ready(id);
  const Ids more = {"m-1-0", "m-1-1", "m-1-2", "m-2-0", "m-2-1"};
  CHECK(plan.At(1, fleet) == more);
  CHECK(plan.plan.TakeNotes() ==
        std::vector<std::string>{"model m version 1: from 2 to 3 workers, with 15 calls in flight "
                                 "and room for 16"});
  // The new one takes its part, and none is too many before the hold-down.
  fleet.Ready("m-1-0");
  fleet.Ready("m-1-1");
  fleet.Ready("m-1-2");
  CHECK(plan.At(2, fleet) == more);
  CHECK(plan.At(61, fleet) == more);
  CHECK(plan.At(62, fleet) == least);
  CHECK(plan.plan.TakeNotes().size() == 1);
}

TEST_CASE("WorkerPlan: a scaled model's new version begins with as many workers", "[cli][up]") {
  AFleet fleet;
  fleet.Placement("m").set_max_replicas(4);
  fleet.Placement("m").set_replicas(3);
  APlan plan(Of({{"m", {1}}}));
  for (const char* id : {"m-1-0", "m-1-1", "m-1-2"}) fleet.Ready(id);
  CHECK(plan.At(0, fleet).size() == 3);
  fleet.Placement("m").set_replicas(1);
  plan.plan.SetVersions("m", {2});
  CHECK(plan.At(1, fleet) == Ids{"m-1-0", "m-1-1", "m-1-2", "m-2-0", "m-2-1", "m-2-2"});
  for (const char* id : {"m-2-0", "m-2-1", "m-2-2"}) fleet.Ready(id);
  CHECK(plan.At(2, fleet) == Ids{"m-2-0", "m-2-1", "m-2-2"});
  // Without bounds it is as the catalogue says.
  fleet.Placement("m").set_max_replicas(0);
  CHECK(plan.At(3, fleet) == Ids{"m-2-0"});
}

TEST_CASE("WorkerPlan: models come and go", "[cli][up]") {
  AFleet fleet;
  APlan plan(Of({{"a", {1}}}));
  plan.plan.SetVersions("b", {4});
  CHECK(plan.At(0, fleet) == Ids{"a-1-0", "b-4-0"});
  plan.plan.SetVersions("a", {});
  CHECK(plan.At(1, fleet) == Ids{"b-4-0"});
  CHECK_FALSE(plan.plan.Versions().contains("a"));
}

TEST_CASE("WorkerPlan: what an alias or a route names is served on", "[cli][up]") {
  FleetPlan repository;
  repository.models = {{"m", {3}}};
  APlan plan(repository);
  AFleet fleet;
  const std::string one = "1", two = "2", three = "3", none = "9", name = "m";
  for (const std::string& number : {one, two, three}) {
    fleet.Model("m").add_versions()->set_version(number);
  }
  CHECK(plan.At(1, fleet) == Ids{"m-3-0"});
  (*fleet.Model("m").mutable_aliases())["prod"] = one;
  CHECK(plan.At(2, fleet) == Ids{"m-1-0", "m-3-0"});
  // By another model's route; of a version that there is not, nothing runs.
  auto& rule = *fleet.Route("other").add_rules();
  rule.add_targets()->set_model(name);
  rule.mutable_targets(0)->set_version(two);
  rule.mutable_shadow()->mutable_target()->set_model(name);
  rule.mutable_shadow()->mutable_target()->set_version(none);
  CHECK(plan.At(3, fleet) == Ids{"m-1-0", "m-2-0", "m-3-0"});
  CHECK(plan.plan.Versions().at("m") == std::vector<int64_t>{1, 2, 3});
  fleet.Placement("m").set_unloaded(true);
  CHECK(plan.At(4, fleet).empty());
}

TEST_CASE("WorkerPlan: a version on trial is served on", "[cli][up]") {
  APlan plan(Of({{"m", {3}}}));
  AFleet fleet;
  for (const char* number : {"1", "2", "3"}) {
    fleet.Model("m").add_versions()->set_version(number);
  }
  const std::string two = "2";
  auto& rule = *fleet.Route("m").add_rules();
  rule.add_targets();
  rule.mutable_canary()->mutable_target()->set_version(two);
  CHECK(plan.At(0, fleet) == Ids{"m-2-0", "m-3-0"});
}

}  // namespace
}  // namespace torchfleet::cli
