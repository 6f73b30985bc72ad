#include "gateway/discover/fleet.h"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "tests/unit/gateway/fleet_builder.h"

namespace torchfleet::gateway {
namespace {

using registry::v1::WORKER_STATE_DRAINING;
using registry::v1::WORKER_STATE_READY;
using registry::v1::WORKER_STATE_STARTING;

Instant At(double seconds) { return Instant::FromStart(absl::Seconds(seconds)); }

std::vector<std::string> Ready(const Fleet& fleet, const std::string& model,
                               const std::string& version) {
  const FleetSnapshot snapshot = fleet.Snapshot();
  const auto found = snapshot.models.find(model);
  if (found == snapshot.models.end()) return {"no model"};
  const auto exact = found->second.versions.find(version);
  if (exact == found->second.versions.end()) return {"no version"};
  return exact->second.ready;
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
  CHECK(fleet.Snapshot().models.at("m").versions.at("1").endpoints.size() == 2);
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
  CHECK(fleet.Expire(At(104.9)) == 0);
  CHECK(fleet.Expire(At(105)) == 1);
  CHECK(Ready(fleet, "m", "1") == Addresses{"a.example:1"});
}

TEST_CASE("Fleet: what was kept survives further snapshots until its lease ends",
          "[gateway][fleet][faults]") {
  Fleet fleet;
  fleet.Apply(MakeSnapshot("i", {MakeEndpoint("a", "m", "1")}), At(0));
  fleet.Apply(MakeSnapshot("j", {}), At(10));
  fleet.Apply(MakeSnapshot("j", {MakeEndpoint("z", "n", "1")}), At(12));
  CHECK(Ready(fleet, "m", "1") == Addresses{"a.example:1"});
  CHECK(fleet.Expire(At(15)) == 1);
  CHECK(Ready(fleet, "m", "1").empty());
  CHECK(Ready(fleet, "n", "1") == Addresses{"z.example:1"});
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
  CHECK(VersionState(fleet.Snapshot().models.at("m").versions.at("1")) == "UNAVAILABLE");
  CHECK(fleet.Expire(At(10) + Fleet::kRemembered) == 1);
  CHECK(Ready(fleet, "m", "1") == Addresses{"no model"});
}

TEST_CASE("Fleet: a version's state is the best that any endpoint offers", "[gateway][fleet]") {
  FleetVersion version;
  CHECK(VersionState(version) == "UNAVAILABLE");
  version.endpoints.push_back(MakeEndpoint("a", "m", "1", WORKER_STATE_DRAINING));
  CHECK(VersionState(version) == "UNLOADING");
  version.endpoints.push_back(MakeEndpoint("b", "m", "1", WORKER_STATE_STARTING));
  CHECK(VersionState(version) == "LOADING");
  version.endpoints.push_back(MakeEndpoint("c", "m", "1", WORKER_STATE_READY));
  CHECK(VersionState(version) == "READY");
}

}  // namespace
}  // namespace torchfleet::gateway
