#include "gateway/route/call_rules.h"

#include <google/protobuf/text_format.h>

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "gateway/admit/places.h"
#include "gateway/discover/fleet.h"
#include "gateway/route/route_policy.h"
#include "tests/unit/gateway/fleet_builder.h"

namespace torchfleet::gateway {
namespace {

registry::v1::CallPolicy Policy(const std::string& text) {
  registry::v1::CallPolicy policy;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(text, &policy));
  return policy;
}

TEST_CASE("CallRules: what is not said is as for most models", "[gateway][route]") {
  const registry::v1::CallPolicy empty = Policy("hedging {} admission {}");
  for (const CallRules& rules : {CallRules(), CallRules(empty)}) {
    CHECK(rules.idempotent());
    CHECK(rules.hedges());
    CHECK(rules.hedge_share() == 0.975);
    CHECK_FALSE(rules.sticky());
    CHECK(rules.most_load() == 1.25);
    CHECK(rules.most_in_flight() == 0);
    CHECK(rules.most_waiting() == 1024);
    CHECK_FALSE(rules.patience());
  }
}

TEST_CASE("CallRules: what is said holds", "[gateway][route]") {
  const auto policy = Policy(
      "idempotent: true hedging { percentile: 50 } consistent_hash { header: 'x' max_load_percent: "
      "200 } admission { max_in_flight: 3 max_waiting: 4 max_wait_ms: 5 }");
  const CallRules rules(policy);
  CHECK(rules.hedge_share() == 0.5);
  CHECK(rules.sticky());
  CHECK(rules.key().header() == "x");
  CHECK(rules.most_load() == 2);
  CHECK(rules.most_in_flight() == 3);
  CHECK(rules.most_waiting() == 4);
  CHECK(rules.patience() == absl::Milliseconds(5));
}

TEST_CASE("CallRules: what may not be computed twice is not hedged", "[gateway][route]") {
  const auto twice = Policy("idempotent: false");
  CHECK_FALSE(CallRules(twice).idempotent());
  CHECK_FALSE(CallRules(twice).hedges());
  const auto disabled = Policy("hedging { disabled: true }");
  CHECK(CallRules(disabled).idempotent());
  CHECK_FALSE(CallRules(disabled).hedges());
}

TEST_CASE("RoutePolicy: a call is sent as the route of its model says, wherever it leads",
          "[gateway][route]") {
  Fleet fleet;
  auto response = MakeSnapshot("i", {MakeEndpoint("a", "m", "1"), MakeEndpoint("b", "other", "1")});
  for (const char* text : {"model: 'm' calls { idempotent: false }",
                           "model: 'other' calls { admission { max_in_flight: 7 } }",
                           "model: 'name' rules { targets { model: 'm' } } calls { idempotent: "
                           "true hedging { disabled: "
                           "true } }",
                           "model: 'plain' rules { targets { model: 'm' } }"}) {
    REQUIRE(google::protobuf::TextFormat::ParseFromString(
        text, response.mutable_snapshot()->add_routes()));
  }
  fleet.Apply(response, Instant());
  const FleetSnapshot& snapshot = fleet.Snapshot();
  const auto of = [&](std::string_view model, std::string_view version = "") {
    const auto route = RoutePolicy::Choose(snapshot, model, version);
    REQUIRE(route.ok());
    return route->calls;
  };
  CHECK_FALSE(of("m").idempotent());
  // Also where the caller names the version.
  CHECK_FALSE(of("m", "1").idempotent());
  CHECK(of("other", "1").most_in_flight() == 7);
  CHECK(of("name").idempotent());
  CHECK_FALSE(of("name").hedges());
  CHECK(of("plain").hedges());
}

TEST_CASE("Places: never more than there may be", "[gateway][admit]") {
  Places places;
  CHECK_FALSE(places.Take(0));
  CHECK(places.Take(2));
  CHECK(places.Take(2));
  CHECK_FALSE(places.Take(2));
  CHECK(places.taken() == 2);
  places.GiveBack();
  CHECK(places.Take(2));
  // A lower limit waits for those who are there.
  CHECK_FALSE(places.Take(1));
  places.GiveBack();
  places.GiveBack();
  CHECK(places.taken() == 0);
}

}  // namespace
}  // namespace torchfleet::gateway
