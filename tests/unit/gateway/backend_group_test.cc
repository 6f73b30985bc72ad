#include "gateway/forward/backend_group.h"

#include <catch2/catch_test_macros.hpp>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "gateway/discover/fleet.h"
#include "tests/unit/gateway/fleet_builder.h"

namespace torchfleet::gateway {
namespace {

struct Gateway {
  void Hear(const registry::v1::WatchResponse& response) {
    const FleetChange change = fleet.Apply(response, Instant()).change;
    backends.Update(change.addresses, Instant());
  }
  std::shared_ptr<const BackendGroup> Group(const std::string& model) {
    held = fleet.Snapshot();
    return groups.Of(*RoutePolicy::Choose(held, model, ""));
  }

  Fleet fleet;
  BackendTable backends;
  BackendGroups groups{backends.table()};
  FleetSnapshot held;
};

std::vector<std::string> Addresses(const BackendGroup& group) {
  std::vector<std::string> addresses;
  for (const auto& backend : group.backends) addresses.push_back(backend->address());
  return addresses;
}

TEST_CASE("BackendGroups: a group stands until its own version changes", "[gateway][group]") {
  Gateway gateway;
  gateway.Hear(MakeSnapshot("i", {MakeEndpoint("a", "m", "1"), MakeEndpoint("b", "m", "1"),
                                  MakeEndpoint("c", "n", "1")}));
  const auto before = gateway.Group("m");
  gateway.Hear(MakeDelta("i", {MakeEndpoint("d", "n", "1")}, {"c"}));
  CHECK(gateway.Group("m") == before);
  gateway.Hear(MakeDelta("i", {}, {"a"}));
  const auto after = gateway.Group("m");
  REQUIRE(after->backends.size() == 1);
  CHECK(after->backends[0] == before->backends[1]);
  CHECK(before->backends[0]->left());
}

TEST_CASE("BackendGroups: one that left and came back is another backend", "[gateway][group]") {
  Gateway gateway;
  gateway.Hear(MakeSnapshot("i", {MakeEndpoint("a", "m", "1"), MakeEndpoint("b", "m", "1")}));
  const auto before = gateway.Group("m");
  // Between two calls.
  gateway.Hear(MakeDelta("i", {}, {"a"}));
  gateway.Hear(MakeDelta("i", {MakeEndpoint("a", "m", "1")}, {}));
  const auto after = gateway.Group("m");
  CHECK(after->backends[0] != before->backends[0]);
  CHECK(after->backends[0] == gateway.backends.Get()->at("a.example:1"));
  CHECK(after->backends[1] == before->backends[1]);
}

TEST_CASE("BackendGroups: are the table's backends of the route, whatever happened",
          "[gateway][group][property]") {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    Gateway gateway;
    gateway.Hear(MakeSnapshot("i", {MakeEndpoint("always", "m", "1")}));
    for (int step = 0; step < 200; ++step) {
      std::vector<registry::v1::Endpoint> updated;
      std::vector<std::string> removed;
      for (uint32_t i = 0, count = random() % 25; i < count; ++i) {
        const std::string id = "w" + std::to_string(random() % 50);
        if (random() % 2) {
          updated.push_back(MakeEndpoint(id, "m", std::to_string(1 + random() % 2)));
        } else {
          removed.push_back(id);
        }
      }
      gateway.Hear(MakeDelta("i", updated, removed));
      if (random() % 3 == 0) continue;
      const auto group = gateway.Group("m");
      const auto route = RoutePolicy::Choose(gateway.held, "m", "");
      REQUIRE(Addresses(*group) ==
              std::vector<std::string>(route->addresses.begin(), route->addresses.end()));
      const auto table = gateway.backends.Get();
      for (const auto& backend : group->backends) {
        CHECK(backend == table->at(backend->address()));
      }
    }
  }
}

}  // namespace
}  // namespace torchfleet::gateway
