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

// At an address that nobody has to look up.
registry::v1::Endpoint At(int host, const std::string& model, const std::string& version = "1") {
  auto endpoint = MakeEndpoint("w" + std::to_string(host), model, version);
  endpoint.mutable_worker()->set_address("10.0.0." + std::to_string(host) + ":1");
  return endpoint;
}

struct Gateway {
  explicit Gateway(const std::string& zone = {}) : groups(backends.table(), zone) {}
  void Hear(const registry::v1::WatchResponse& response) {
    const FleetChange change = fleet.Apply(response, Instant()).change;
    backends.Update(change.addresses, Instant());
  }
  std::shared_ptr<const BackendGroup> Group(const std::string& model) {
    held = fleet.Snapshot();
    auto route = *RoutePolicy::Choose(held, model, "");
    route.calls = calls;
    return groups.Of(route);
  }

  Fleet fleet;
  BackendTable backends;
  BackendGroups groups;
  CallRules calls;
  FleetSnapshot held;
};

std::vector<std::string> Addresses(const BackendGroup& group) {
  std::vector<std::string> addresses;
  for (const auto& backend : group.backends) addresses.push_back(backend->address());
  return addresses;
}

TEST_CASE("BackendGroups: a group stands until its own version changes", "[gateway][group]") {
  Gateway gateway;
  gateway.Hear(MakeSnapshot("i", {At(1, "m"), At(2, "m"), At(3, "n")}));
  const auto before = gateway.Group("m");
  gateway.Hear(MakeDelta("i", {At(4, "n")}, {"w3"}));
  CHECK(gateway.Group("m") == before);
  gateway.Hear(MakeDelta("i", {}, {"w1"}));
  const auto after = gateway.Group("m");
  REQUIRE(after->backends.size() == 1);
  CHECK(after->backends[0] == before->backends[1]);
  CHECK(before->backends[0]->left());
}

TEST_CASE("BackendGroups: one that left and came back is another backend", "[gateway][group]") {
  Gateway gateway;
  gateway.Hear(MakeSnapshot("i", {At(1, "m"), At(2, "m")}));
  const auto before = gateway.Group("m");
  // Between two calls.
  gateway.Hear(MakeDelta("i", {}, {"w1"}));
  gateway.Hear(MakeDelta("i", {At(1, "m")}, {}));
  const auto after = gateway.Group("m");
  CHECK(after->backends[0] != before->backends[0]);
  CHECK(after->backends[0] == gateway.backends.Get()->at("10.0.0.1:1"));
  CHECK(after->backends[1] == before->backends[1]);
}

TEST_CASE("BackendGroups: are the table's backends of the route, whatever happened",
          "[gateway][group][property]") {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    Gateway gateway;
    gateway.Hear(MakeSnapshot("i", {At(100, "m")}));
    for (int step = 0; step < 200; ++step) {
      std::vector<registry::v1::Endpoint> updated;
      std::vector<std::string> removed;
      for (uint32_t i = 0, count = random() % 25; i < count; ++i) {
        const int host = static_cast<int>(random() % 50);
        if (random() % 2) {
          updated.push_back(At(host, "m", std::to_string(1 + random() % 2)));
        } else {
          removed.push_back("w" + std::to_string(host));
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

TEST_CASE("BackendGroups: those of the gateway's own zone come first", "[gateway][group][zone]") {
  const auto in = [](int host, const std::string& zone) {
    auto endpoint = At(host, "m");
    endpoint.mutable_worker()->set_zone(zone);
    return endpoint;
  };
  Gateway gateway("east");
  gateway.Hear(MakeSnapshot("i", {in(1, "west"), in(2, "east"), in(3, ""), in(4, "east")}));
  const auto before = gateway.Group("m");
  CHECK(Addresses(*before) ==
        std::vector<std::string>{"10.0.0.2:1", "10.0.0.4:1", "10.0.0.1:1", "10.0.0.3:1"});
  CHECK(before->near == 2);
  gateway.Hear(MakeDelta("i", {in(5, "east")}, {"w2", "w1"}));
  const auto after = gateway.Group("m");
  CHECK(Addresses(*after) == std::vector<std::string>{"10.0.0.4:1", "10.0.0.5:1", "10.0.0.3:1"});
  CHECK(after->near == 2);
  CHECK(after->backends[0] == before->backends[1]);
  CHECK(after->backends[2] == before->backends[3]);
}

TEST_CASE("BackendGroups: a ring only where calls have keys, and the same while the names are",
          "[gateway][group][hash]") {
  Gateway gateway;
  gateway.Hear(MakeSnapshot("i", {At(1, "m"), At(2, "m")}));
  CHECK_FALSE(gateway.Group("m")->ring);
  registry::v1::CallPolicy policy;
  policy.mutable_consistent_hash()->set_header("x-user");
  gateway.calls = CallRules(policy);
  const auto before = gateway.Group("m");
  REQUIRE(before->ring);
  CHECK(before->ring->size() == 2);
  CHECK(gateway.Group("m") == before);
  // One restarts at another address.
  auto moved = At(3, "m");
  moved.mutable_worker()->set_worker_id("w1");
  moved.set_epoch(2);
  gateway.Hear(MakeDelta("i", {moved}, {}));
  const auto after = gateway.Group("m");
  CHECK(after != before);
  CHECK(after->ring == before->ring);
  CHECK(Addresses(*after) == std::vector<std::string>{"10.0.0.3:1", "10.0.0.2:1"});
  gateway.Hear(MakeDelta("i", {}, {"w1"}));
  CHECK(gateway.Group("m")->ring->size() == 1);
}

}  // namespace
}  // namespace torchfleet::gateway
