#include "gateway/route/traffic_policy.h"

#include <google/protobuf/text_format.h>

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <string>

#include "gateway/discover/fleet.h"
#include "gateway/route/route_policy.h"
#include "tests/unit/gateway/fleet_builder.h"

namespace torchfleet::gateway {
namespace {

class Call : public CallTraits {
 public:
  explicit Call(uint64_t connection = 1) : connection_(connection) {}
  std::optional<std::string_view> Header(std::string_view name) const override {
    return Find(headers, name);
  }
  std::optional<std::string_view> Parameter(std::string_view name) const override {
    return Find(parameters, name);
  }
  uint64_t connection() const override { return connection_; }

  std::map<std::string, std::string, std::less<>> headers, parameters;

 private:
  static std::optional<std::string_view> Find(
      const std::map<std::string, std::string, std::less<>>& in, std::string_view name) {
    const auto found = in.find(name);
    if (found == in.end()) return std::nullopt;
    return found->second;
  }
  const uint64_t connection_;
};

registry::v1::Route ARoute(const std::string& rules) {
  registry::v1::Route route;
  REQUIRE(google::protobuf::TextFormat::ParseFromString("model: 'mnist' " + rules, &route));
  return route;
}

// Versions 1 to 3 of mnist are ready, 4 is not; the alias prod is 2; another model.
FleetSnapshot AFleet(const std::string& rules = "") {
  registry::v1::WatchResponse said =
      MakeSnapshot("i", {MakeEndpoint("a", "mnist", "1"), MakeEndpoint("b", "mnist", "2"),
                         MakeEndpoint("c", "mnist", "3"),
                         MakeEndpoint("d", "mnist", "4", registry::v1::WORKER_STATE_STARTING),
                         MakeEndpoint("e", "other", "7")});
  auto& model = *said.mutable_snapshot()->add_models();
  model.set_name("mnist");
  for (const char* number : {"1", "2", "3", "4"}) model.add_versions()->set_version(number);
  (*model.mutable_aliases())["prod"] = "2";
  (*model.mutable_aliases())["next"] = "4";
  if (!rules.empty()) *said.mutable_snapshot()->add_routes() = ARoute(rules);
  Fleet fleet;
  fleet.Apply(said, Instant::FromStart(absl::Seconds(1)));
  return fleet.Snapshot();
}

std::string Chosen(const FleetSnapshot& fleet, const Call& call) {
  const auto route = RoutePolicy::Choose(fleet, "mnist", "", call, 0);
  return route.ok() ? std::string(route->model) + "/" + std::string(route->version)
                    : std::string(route.status().message());
}

TEST_CASE("TrafficPolicy: the first rule whose matches all hold", "[gateway][route]") {
  const FleetSnapshot fleet = AFleet(R"(
    rules { matches { header: "x-team" exact: "a" } matches { parameter: "lang" prefix: "de" }
            targets { version: "1" } }
    rules { matches { header: "x-team" exact: "a" } targets { alias: "prod" } }
    rules { matches { parameter: "old" exact: "true" } targets { model: "other" } })");
  Call call;
  CHECK(Chosen(fleet, call) == "mnist/3");  // none: the latest
  call.headers["x-team"] = "a";
  CHECK(Chosen(fleet, call) == "mnist/2");
  call.parameters["lang"] = "de-CH";
  CHECK(Chosen(fleet, call) == "mnist/1");
  call.headers["x-team"] = "b";
  CHECK(Chosen(fleet, call) == "mnist/3");
  call.parameters["old"] = "true";
  CHECK(Chosen(fleet, call) == "other/7");
}

TEST_CASE("TrafficPolicy: who has to be told what the worker is", "[gateway][route]") {
  const FleetSnapshot fleet = AFleet(R"(rules { targets { model: "other" } })");
  CHECK(RoutePolicy::Choose(fleet, "mnist", "")->redirected);
  CHECK_FALSE(RoutePolicy::Choose(fleet, "mnist", "1")->redirected);
  const auto by_alias = RoutePolicy::Choose(fleet, "mnist", "prod");
  REQUIRE(by_alias.ok());
  CHECK(by_alias->redirected);
  CHECK(by_alias->version == "2");
  CHECK(absl::IsNotFound(RoutePolicy::Choose(fleet, "mnist", "canary").status()));
  CHECK(absl::IsUnavailable(RoutePolicy::Choose(fleet, "mnist", "next").status()));
  CHECK(absl::IsNotFound(RoutePolicy::Choose(fleet, "other", "prod").status()));
}

TEST_CASE("TrafficPolicy: shares are as the weights say, and callers stay", "[gateway][route]") {
  const FleetSnapshot fleet = AFleet(
      R"(rules { split_by_header: "x-user" targets { version: "1" weight: 90 }
                 targets { version: "2" weight: 10 } })");
  std::map<std::string, int> counts;
  constexpr int kCallers = 20000;
  for (int i = 0; i < kCallers; ++i) {
    Call call(static_cast<uint64_t>(i % 3));
    call.headers["x-user"] = "user-" + std::to_string(i);
    const std::string first = Chosen(fleet, call);
    ++counts[first];
    Call again(static_cast<uint64_t>(i + 1000000));  // over another connection
    again.headers = call.headers;
    REQUIRE(Chosen(fleet, again) == first);
  }
  CHECK(counts["mnist/1"] == Catch::Approx(0.9 * kCallers).epsilon(0.01));
  CHECK(counts["mnist/2"] == Catch::Approx(0.1 * kCallers).epsilon(0.05));
}

TEST_CASE("TrafficPolicy: when a share grows nobody leaves it", "[gateway][route]") {
  const auto rules = [](int canary) {
    return "rules { targets { version: '2' weight: " + std::to_string(canary) +
           " } targets { version: '1' weight: " + std::to_string(100 - canary) + " } }";
  };
  const FleetSnapshot before = AFleet(rules(10)), after = AFleet(rules(30));
  int moved = 0;
  for (uint64_t i = 0; i < 5000; ++i) {
    const Call call(i);
    if (Chosen(before, call) == "mnist/2") CHECK(Chosen(after, call) == "mnist/2");
    moved += Chosen(before, call) != Chosen(after, call);
  }
  CHECK(moved == Catch::Approx(1000).epsilon(0.15));
}

TEST_CASE("TrafficPolicy: a target that takes no calls leaves its share to the others",
          "[gateway][route]") {
  const FleetSnapshot fleet = AFleet(
      R"(rules { targets { version: "4" weight: 50 } targets { version: "1" weight: 50 } })");
  for (uint64_t i = 0; i < 100; ++i) CHECK(Chosen(fleet, Call(i)) == "mnist/1");
  const FleetSnapshot none = AFleet(R"(rules { targets { alias: "next" } })");
  CHECK(absl::IsUnavailable(RoutePolicy::Choose(none, "mnist", "").status()));
  // An alias that has gone is no rule.
  const FleetSnapshot gone = AFleet(R"(rules { targets { alias: "gone" } })");
  CHECK(Chosen(gone, Call()) == "mnist/3");
}

// Versions 1 and 2 share the calls, 3 is on trial.
std::string OnTrial(const std::string& canary, const std::string& version = "3") {
  return "rules { targets { version: '1' weight: 30 } targets { version: '2' weight: 70 } "
         "canary { target { version: '" +
         version + "' } steps: [5, 25, 60] " + canary + " } }";
}

std::map<std::string, int> Counted(const FleetSnapshot& fleet, uint64_t callers) {
  std::map<std::string, int> counts;
  for (uint64_t i = 0; i < callers; ++i) ++counts[Chosen(fleet, Call(i))];
  return counts;
}

TEST_CASE("TrafficPolicy: a canary gets the share of its step", "[gateway][route]") {
  struct Row {
    const char* canary;
    double share;
  };
  for (const Row& row :
       {Row{"", 0.05}, Row{"step: 1", 0.25}, Row{"phase: PHASE_RUNNING step: 2", 0.6},
        Row{"step: 9", 0.6}, Row{"phase: PHASE_PROMOTED", 0.6},
        Row{"phase: PHASE_ROLLED_BACK step: 1", 0}}) {
    CAPTURE(row.canary);
    constexpr int kCallers = 20000;
    auto counts = Counted(AFleet(OnTrial(row.canary)), kCallers);
    CHECK(counts["mnist/3"] == Catch::Approx(row.share * kCallers).epsilon(0.06));
    // It takes from both alike.
    CHECK(counts["mnist/1"] == Catch::Approx((1 - row.share) * 0.3 * kCallers).epsilon(0.06));
    CHECK(counts["mnist/2"] == Catch::Approx((1 - row.share) * 0.7 * kCallers).epsilon(0.06));
  }
}

TEST_CASE("TrafficPolicy: callers of a canary stay, and the others move to it alone",
          "[gateway][route]") {
  const FleetSnapshot without =
      AFleet("rules { targets { version: '1' weight: 30 } targets { version: '2' weight: 70 } }");
  const FleetSnapshot first = AFleet(OnTrial("step: 0")), second = AFleet(OnTrial("step: 1"));
  for (uint64_t i = 0; i < 5000; ++i) {
    const Call call(i);
    const std::string before = Chosen(without, call), now = Chosen(first, call),
                      later = Chosen(second, call);
    if (now != "mnist/3") CHECK(now == before);
    if (now == "mnist/3") CHECK(later == "mnist/3");
    if (later != "mnist/3") CHECK(later == before);
  }
}

TEST_CASE("TrafficPolicy: another version has other callers first", "[gateway][route]") {
  const std::string rule =
      "rules { targets { version: '1' } canary { steps: [10] target { version: '";
  const FleetSnapshot two = AFleet(rule + "2' } } }"), three = AFleet(rule + "3' } } }");
  int both = 0;
  for (uint64_t i = 0; i < 10000; ++i) {
    both += Chosen(two, Call(i)) == "mnist/2" && Chosen(three, Call(i)) == "mnist/3";
  }
  CHECK(both == Catch::Approx(100).margin(40));
}

TEST_CASE("TrafficPolicy: a canary that takes no calls leaves them to the targets",
          "[gateway][route]") {
  // Version 4 is not ready, and `gone` is no alias.
  const FleetSnapshot starting = AFleet(OnTrial("step: 2", "4"));
  auto counts = Counted(starting, 1000);
  CHECK(counts["mnist/1"] + counts["mnist/2"] == 1000);
  const FleetSnapshot gone =
      AFleet("rules { targets { version: '1' } canary { target { alias: 'gone' } steps: [100] } }");
  CHECK(Counted(gone, 100)["mnist/1"] == 100);
  // It has no more than its share when the targets take none.
  const FleetSnapshot alone =
      AFleet("rules { targets { version: '4' } canary { target { version: '3' } steps: [50] } }");
  const int canary = Counted(alone, 1000)["mnist/3"];
  CHECK(canary == Catch::Approx(500).margin(60));
}

TEST_CASE("TrafficPolicy: says for which side of a trial a call counts", "[gateway][route]") {
  const FleetSnapshot fleet = AFleet(OnTrial("step: 2"));
  for (uint64_t i = 0; i < 100; ++i) {
    const auto route = RoutePolicy::Choose(fleet, "mnist", "", Call(i), 0);
    REQUIRE(route.ok());
    REQUIRE(route->trial.has_value());
    CHECK(route->trial->canary == (route->version == "3"));
    CHECK(route->trial->rule == &fleet.routes.find("mnist")->second->rules(0));
  }
  // Who names a version is no part of it.
  CHECK_FALSE(RoutePolicy::Choose(fleet, "mnist", "3", Call(), 0)->trial.has_value());
  CHECK_FALSE(RoutePolicy::Choose(AFleet("rules { targets { version: '1' } }"), "mnist", "", Call())
                  ->trial.has_value());
}

TEST_CASE("TrafficPolicy: so many of a hundred calls are copied", "[gateway][route]") {
  const FleetSnapshot fleet = AFleet(
      R"(rules { targets { version: "1" } shadow { target { version: "2" } percent: 25 } })");
  int copied = 0;
  for (uint64_t i = 0; i < 1000; ++i) {
    const auto route = RoutePolicy::Choose(fleet, "mnist", "", Call(), i);
    REQUIRE(route.ok());
    CHECK(route->version == "1");
    if (!route->shadow) continue;
    ++copied;
    CHECK(route->shadow->version == "2");
  }
  CHECK(copied == 250);
}

TEST_CASE("TrafficPolicy: the hash is the same everywhere and always", "[gateway][route]") {
  // Of FNV-1a and splitmix64's finaliser, computed apart.
  CHECK(TrafficPolicy::Hash("") == 0xf52a15e9a9b5e89bU);
  CHECK(TrafficPolicy::Hash("a") == 0x02c0bdbf481420f8U);
}

}  // namespace
}  // namespace torchfleet::gateway
