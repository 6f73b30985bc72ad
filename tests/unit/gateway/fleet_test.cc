#include "gateway/discover/fleet.h"

#include <catch2/catch_test_macros.hpp>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/gateway/fleet_builder.h"

namespace torchfleet::gateway {
namespace {

using registry::v1::WORKER_STATE_DRAINING;
using registry::v1::WORKER_STATE_FAILED;
using registry::v1::WORKER_STATE_READY;
using registry::v1::WORKER_STATE_STARTING;

Instant At(double seconds) { return Instant::FromStart(absl::Seconds(seconds)); }

std::vector<std::string> Ready(const Fleet& fleet, const std::string& model,
                               const std::string& version) {
  if (!fleet.Snapshot().Model(model)) return {"no model"};
  const FleetVersion* const known = fleet.Snapshot().Version(model, version);
  return known ? known->ready : std::vector<std::string>{"no version"};
}

using Addresses = std::vector<std::string>;

TEST_CASE("Fleet: nothing is known before the registry speaks", "[gateway][fleet]") {
  Fleet fleet;
  CHECK_FALSE(fleet.Snapshot().seen);
  fleet.Apply(MakeSnapshot("i", {}), At(0));
  CHECK(fleet.Snapshot().seen);
  CHECK(fleet.Snapshot().models.empty());
}

TEST_CASE("Fleet: endpoints are sorted by model and version, only READY ones take calls",
          "[gateway][fleet]") {
  Fleet fleet;
  fleet.Apply(MakeSnapshot("i", {MakeEndpoint("a", "mnist", "9"), MakeEndpoint("b", "mnist", "10"),
                                 MakeEndpoint("c", "mnist", "10", WORKER_STATE_STARTING)}),
              At(0));
  CHECK(Ready(fleet, "mnist", "9") == Addresses{"a.example:1"});
  CHECK(Ready(fleet, "mnist", "10") == Addresses{"b.example:1"});
  CHECK(fleet.Snapshot().ReadyVersions("mnist") == Addresses{"9", "10"});
  CHECK(fleet.Snapshot().ReadyVersions("x").empty());
}

TEST_CASE("Fleet: deltas change, add and remove", "[gateway][fleet]") {
  Fleet fleet;
  fleet.Apply(MakeSnapshot("i", {MakeEndpoint("a", "m", "1"), MakeEndpoint("b", "m", "1")}), At(0));
  fleet.Apply(
      MakeDelta("i",
                {MakeEndpoint("a", "m", "1", WORKER_STATE_DRAINING), MakeEndpoint("c", "m", "1")},
                {"b", "nobody"}),
      At(1));
  CHECK(Ready(fleet, "m", "1") == Addresses{"c.example:1"});
  CHECK(fleet.Snapshot().Version("m", "1")->endpoints.size() == 2);
}

TEST_CASE("Fleet: a snapshot of the same incarnation removes what it does not name",
          "[gateway][fleet]") {
  Fleet fleet;
  fleet.Apply(MakeSnapshot("i", {MakeEndpoint("a", "m", "1"), MakeEndpoint("b", "m", "1")}), At(0));
  const auto outcome = fleet.Apply(MakeSnapshot("i", {MakeEndpoint("b", "m", "1")}), At(1));
  CHECK_FALSE(outcome.new_incarnation);
  CHECK(Ready(fleet, "m", "1") == Addresses{"b.example:1"});
}

TEST_CASE("Fleet: a registry that comes back empty takes nobody away for one lease",
          "[gateway][fleet][faults]") {
  Fleet fleet;
  fleet.Apply(MakeSnapshot("i", {MakeEndpoint("a", "m", "1"), MakeEndpoint("b", "m", "1")}), At(0));
  const auto outcome = fleet.Apply(MakeSnapshot("j", {}), At(100));
  CHECK(outcome.new_incarnation);
  CHECK(outcome.kept == 2);
  CHECK(Ready(fleet, "m", "1") == Addresses{"a.example:1", "b.example:1"});
  CHECK(fleet.NextExpiry() == At(105));

  // One of them announces itself again in time; the other is dead.
  fleet.Apply(MakeDelta("j", {MakeEndpoint("a", "m", "1")}, {}), At(102));
  CHECK(fleet.Expire(At(104.9)).gone == 0);
  CHECK(fleet.Expire(At(105)).gone == 1);
  CHECK(Ready(fleet, "m", "1") == Addresses{"a.example:1"});
}

TEST_CASE("Fleet: what was kept survives further snapshots until its lease ends",
          "[gateway][fleet][faults]") {
  Fleet fleet;
  fleet.Apply(MakeSnapshot("i", {MakeEndpoint("a", "m", "1")}), At(0));
  fleet.Apply(MakeSnapshot("j", {}), At(10));
  fleet.Apply(MakeSnapshot("j", {MakeEndpoint("z", "n", "1")}), At(12));
  CHECK(Ready(fleet, "m", "1") == Addresses{"a.example:1"});
  CHECK(fleet.Expire(At(15)).gone == 1);
  CHECK(Ready(fleet, "m", "1").empty());
  CHECK(Ready(fleet, "n", "1") == Addresses{"z.example:1"});
}

TEST_CASE("Fleet: while the registry is away again nothing that was kept goes",
          "[gateway][fleet][faults]") {
  Fleet fleet;
  fleet.Apply(MakeSnapshot("i", {MakeEndpoint("a", "m", "1"), MakeEndpoint("b", "m", "1")}), At(0));
  fleet.SetHeard(false, At(5));
  fleet.SetHeard(true, At(10));
  fleet.Apply(MakeSnapshot("j", {}), At(10));
  // Nobody had the time to announce itself.
  fleet.SetHeard(false, At(11));
  CHECK_FALSE(fleet.NextExpiry().has_value());
  CHECK(fleet.Expire(At(100)).gone == 0);
  CHECK(Ready(fleet, "m", "1") == Addresses{"a.example:1", "b.example:1"});
  fleet.SetHeard(true, At(100));
  CHECK(fleet.NextExpiry() == At(105));
  fleet.Apply(MakeDelta("j", {MakeEndpoint("a", "m", "1")}, {}), At(102));
  CHECK(fleet.Expire(At(105)).gone == 1);
  CHECK(Ready(fleet, "m", "1") == Addresses{"a.example:1"});
}

TEST_CASE("Fleet: what was kept gives way to news of it", "[gateway][fleet][faults]") {
  const auto kept = [] {
    Fleet fleet;
    fleet.Apply(MakeSnapshot("i", {MakeEndpoint("a", "m", "1")}), At(0));
    fleet.Apply(MakeSnapshot("j", {}), At(10));
    return fleet;
  };
  SECTION("the registry says that it is gone") {
    Fleet fleet = kept();
    fleet.Apply(MakeDelta("j", {}, {"a"}), At(11));
    CHECK(Ready(fleet, "m", "1").empty());
  }
  SECTION("another worker announces itself at its address") {
    Fleet fleet = kept();
    auto other = MakeEndpoint("b", "n", "1");
    other.mutable_worker()->set_address("a.example:1");
    fleet.Apply(MakeDelta("j", {other}, {}), At(11));
    CHECK(Ready(fleet, "n", "1") == Addresses{"a.example:1"});
    CHECK(Ready(fleet, "m", "1").empty());
  }
  SECTION("it announces itself with another state") {
    Fleet fleet = kept();
    fleet.Apply(MakeDelta("j", {MakeEndpoint("a", "m", "1", WORKER_STATE_DRAINING)}, {}), At(11));
    CHECK(Ready(fleet, "m", "1").empty());
    CHECK_FALSE(fleet.NextExpiry().has_value());
  }
}

TEST_CASE("Fleet: a version whose last worker left stays known for a while", "[gateway][fleet]") {
  Fleet fleet;
  fleet.Apply(MakeSnapshot("i", {MakeEndpoint("a", "m", "1")}), At(0));
  fleet.Apply(MakeDelta("i", {}, {"a"}), At(10));
  CHECK(Ready(fleet, "m", "1").empty());
  CHECK(VersionState(*fleet.Snapshot().Version("m", "1")) == "UNAVAILABLE");
  CHECK(fleet.Expire(At(10) + Fleet::kRemembered).gone == 1);
  CHECK(Ready(fleet, "m", "1") == Addresses{"no model"});
}

TEST_CASE("Fleet: a version's state is the best that any endpoint offers", "[gateway][fleet]") {
  Fleet fleet;
  const auto state = [&](const char* worker_id, registry::v1::WorkerState said) {
    auto endpoint = MakeEndpoint(worker_id, "m", "1", said);
    if (said == WORKER_STATE_FAILED) endpoint.set_reason("the model is corrupt");
    fleet.Apply(MakeDelta("i", {endpoint}, {}), At(1));
    const FleetVersion& version = *fleet.Snapshot().Version("m", "1");
    return std::pair(std::string(VersionState(version)),
                     VersionReason(*fleet.Snapshot().Model("m"), version));
  };
  using Pair = std::pair<std::string, std::string>;
  CHECK(state("a", WORKER_STATE_FAILED) == Pair{"UNAVAILABLE", "the model is corrupt"});
  CHECK(state("b", WORKER_STATE_DRAINING) == Pair{"UNLOADING", ""});
  CHECK(state("c", WORKER_STATE_STARTING) == Pair{"LOADING", ""});
  CHECK(state("d", WORKER_STATE_READY) == Pair{"READY", ""});
  CHECK(Ready(fleet, "m", "1") == Addresses{"d.example:1"});
}

registry::v1::WatchResponse Condition(const std::string& worker_id, registry::v1::WorkerState state,
                                      bool disconnected = false) {
  registry::v1::WatchResponse response = MakeDelta("i", {}, {});
  auto* condition = response.mutable_delta()->add_conditions();
  condition->set_worker_id(worker_id);
  condition->set_state(state);
  condition->set_disconnected(disconnected);
  condition->mutable_load()->set_queued(7);
  return response;
}

TEST_CASE("Fleet: conditions change an endpoint, its load nothing", "[gateway][fleet]") {
  Fleet fleet;
  fleet.Apply(MakeSnapshot("i", {MakeEndpoint("a", "m", "1"), MakeEndpoint("b", "m", "1")}), At(0));
  CHECK_FALSE(fleet.Apply(Condition("a", WORKER_STATE_DRAINING), At(1)).change.none);
  CHECK(Ready(fleet, "m", "1") == Addresses{"b.example:1"});
  CHECK(fleet.Apply(Condition("b", WORKER_STATE_READY), At(1)).change.none);
  CHECK(fleet.Apply(Condition("nobody", WORKER_STATE_READY), At(1)).change.none);
}

TEST_CASE("Fleet: disconnected endpoints take calls only when no other is READY",
          "[gateway][fleet][faults]") {
  Fleet fleet;
  fleet.Apply(MakeSnapshot("i", {MakeEndpoint("a", "m", "1"), MakeEndpoint("b", "m", "1")}), At(0));
  fleet.Apply(Condition("a", WORKER_STATE_READY, true), At(1));
  CHECK(Ready(fleet, "m", "1") == Addresses{"b.example:1"});
  fleet.Apply(Condition("b", WORKER_STATE_READY, true), At(1));
  CHECK(Ready(fleet, "m", "1") == Addresses{"a.example:1", "b.example:1"});
  fleet.Apply(Condition("a", WORKER_STATE_READY), At(1));
  CHECK(Ready(fleet, "m", "1") == Addresses{"a.example:1"});
}

TEST_CASE("Fleet: the catalogue makes models known that have no worker", "[gateway][fleet]") {
  Fleet fleet;
  auto response = MakeSnapshot("i", {});
  auto* model = response.mutable_snapshot()->add_models();
  model->set_name("m");
  model->add_versions()->set_version("3");
  model->set_revision(1);
  response.mutable_snapshot()->add_models()->set_name("empty");
  response.mutable_snapshot()->add_routes()->set_model("m");
  response.mutable_snapshot()->add_routes()->set_model("front");
  CHECK(fleet.Apply(response, At(0)).change.new_models ==
        std::set<std::string>{"empty", "front", "m"});
  CHECK(Ready(fleet, "m", "3").empty());
  CHECK(Ready(fleet, "m", "4") == Addresses{"no version"});
  CHECK(fleet.Snapshot().Model("empty")->versions.empty());
  CHECK(fleet.Snapshot().routes.contains("m"));
  const FleetVersion& version = *fleet.Snapshot().Version("m", "3");
  CHECK(VersionReason(*fleet.Snapshot().Model("m"), version) == "no worker");

  SECTION("and a worker's version counts beside the catalogue's") {
    fleet.Apply(MakeDelta("i", {MakeEndpoint("a", "m", "4")}, {}), At(1));
    CHECK(Ready(fleet, "m", "4") == Addresses{"a.example:1"});
    CHECK(Ready(fleet, "m", "3").empty());
  }
  SECTION("a changed one loses what it no longer names") {
    auto delta = MakeDelta("i", {}, {});
    model = delta.mutable_delta()->add_models();
    model->set_name("m");
    model->set_revision(2);
    model->add_versions()->set_version("5");
    model->mutable_placement()->set_unloaded(true);
    delta.mutable_delta()->add_removed_routes("m");
    fleet.Apply(delta, At(1));
    CHECK(Ready(fleet, "m", "3") == Addresses{"no version"});
    CHECK(VersionReason(*fleet.Snapshot().Model("m"), *fleet.Snapshot().Version("m", "5")) ==
          "unloaded");
    CHECK_FALSE(fleet.Snapshot().routes.contains("m"));
  }
  SECTION("one that is gone from it is gone, by a delta or a snapshot of another incarnation") {
    auto delta = MakeDelta("i", {}, {});
    delta.mutable_delta()->add_removed_models("m");
    fleet.Apply(delta, At(1));
    CHECK(Ready(fleet, "m", "3") == Addresses{"no model"});
    fleet.Apply(MakeSnapshot("j", {}), At(1));
    CHECK(fleet.Snapshot().models.empty());
    CHECK(fleet.Snapshot().routes.empty());
  }
}

TEST_CASE("Fleet: a change shares what it leaves alone with the snapshot before",
          "[gateway][fleet]") {
  Fleet fleet;
  std::vector<registry::v1::Endpoint> endpoints;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = std::to_string(i);
    endpoints.push_back(MakeEndpoint("w" + id, "m" + std::to_string(i % 10), "1"));
  }
  fleet.Apply(MakeSnapshot("i", endpoints), At(0));
  const FleetSnapshot before = fleet.Snapshot();
  const auto change = fleet.Apply(Condition("w3", WORKER_STATE_DRAINING), At(1)).change;
  const FleetSnapshot after = fleet.Snapshot();
  CHECK(change.new_models.empty());
  CHECK(change.addresses == std::map<std::string, std::optional<uint64_t>>{{"w3.example:1", 1}});
  for (int i = 0; i < 10; ++i) {
    const std::string model = "m" + std::to_string(i);
    CHECK((before.Model(model) == after.Model(model)) == (i != 3));
  }
  for (const auto& [id, endpoint] : after.Version("m3", "1")->endpoints) {
    CHECK((before.Version("m3", "1")->endpoints.at(id) == endpoint) == (id != "w3"));
  }
  // The same fleet once more, by another life of the registry, is no change.
  endpoints[3].set_state(WORKER_STATE_DRAINING);
  CHECK(fleet.Apply(MakeSnapshot("j", endpoints), At(2)).change.none);
  CHECK(fleet.Snapshot().Model("m3") == after.Model("m3"));
}

// What should be there, by the plainest means.
struct PlainFleet {
  std::map<std::string, registry::v1::Endpoint> endpoints;

  std::map<std::string, std::optional<uint64_t>> Addresses() const {
    std::map<std::string, std::optional<uint64_t>> addresses;
    for (const auto& [id, endpoint] : endpoints) {
      auto& epoch = addresses[endpoint.worker().address()];
      epoch = std::max(epoch.value_or(0), endpoint.epoch());
    }
    return addresses;
  }
};

TEST_CASE("Fleet: any sequence of changes gives what a plain list of them gives",
          "[gateway][fleet][property]") {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    Fleet fleet;
    PlainFleet plain;
    fleet.Apply(MakeSnapshot("i", {}), At(0));
    std::map<std::string, std::optional<uint64_t>> addresses;
    std::set<std::string> models;
    for (int step = 0; step < 400; ++step) {
      const std::string id = "w" + std::to_string(random() % 60);
      registry::v1::WatchResponse response;
      const uint32_t kind = random() % 4;
      if (kind == 0) {
        plain.endpoints.erase(id);
        response = MakeDelta("i", {}, {id});
      } else if (kind == 1 && plain.endpoints.contains(id)) {
        auto& endpoint = plain.endpoints[id];
        endpoint.set_state(random() % 2 ? WORKER_STATE_READY : WORKER_STATE_STARTING);
        endpoint.set_disconnected(random() % 4 == 0);
        response = Condition(id, endpoint.state(), endpoint.disconnected());
      } else {
        auto endpoint =
            MakeEndpoint(id, "m" + std::to_string(random() % 3), std::to_string(1 + random() % 3));
        endpoint.mutable_worker()->set_address("a" + std::to_string(random() % 50) + ":1");
        endpoint.set_epoch(static_cast<uint64_t>(step) + 1);
        plain.endpoints[id] = endpoint;
        response = MakeDelta("i", {endpoint}, {});
      }
      const FleetChange change = fleet.Apply(response, At(1)).change;
      for (const auto& [address, epoch] : change.addresses) {
        if (epoch) {
          addresses[address] = epoch;
        } else {
          addresses.erase(address);
        }
      }
      for (const std::string& model : change.new_models) CHECK(models.insert(model).second);
    }
    CHECK(addresses == plain.Addresses());
    const auto said = AsSaid(fleet.Snapshot());
    REQUIRE(static_cast<size_t>(said.endpoints_size()) == plain.endpoints.size());
    for (const auto& endpoint : said.endpoints()) {
      CHECK(endpoint.SerializeAsString() ==
            plain.endpoints.at(endpoint.worker().worker_id()).SerializeAsString());
    }
    for (const auto& [name, model] : fleet.Snapshot().models) {
      for (const auto& [number, version] : model->versions) {
        std::vector<std::string> ready, disconnected;
        for (const auto& [id, endpoint] : plain.endpoints) {
          const auto& worker = endpoint.worker();
          if (worker.model() != name || worker.version() != number) continue;
          if (endpoint.state() != WORKER_STATE_READY) continue;
          (endpoint.disconnected() ? disconnected : ready).push_back(worker.address());
        }
        CHECK(version->ready == (ready.empty() ? disconnected : ready));
      }
    }
  }
}

}  // namespace
}  // namespace torchfleet::gateway
