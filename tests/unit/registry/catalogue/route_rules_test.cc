#include "registry/catalogue/rules/route_rules.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string>

#include "base/status.h"
#include "tests/unit/registry/catalogue/messages.h"

namespace torchfleet::registry {
namespace {

TEST_CASE("CheckRoute: takes whole routes", "[registry][catalogue]") {
  const std::string rules = GENERATE(
      as<std::string>{}, "", "rules { targets {} }", "rules { targets { version: '3' } }",
      "rules { targets { alias: 'prod' weight: 90 } targets { alias: 'canary' weight: 10 } }",
      "rules { targets { version: '3' } targets { version: '4' weight: 1 } }",
      "rules { targets { model: 'other' version: '3' weight: 1 } targets { version: '3' } }",
      "rules { matches { header: 'x-user' exact: 'ann' } targets {} } rules { targets {} }",
      "rules { matches { parameter: 'tier' prefix: '' } targets {} split_by_header: 'x-user' }",
      "rules { targets {} shadow { target { version: '4' } percent: 100 } }",
      "rules { targets { version: '3' } canary { target { version: '4' } steps: 100 } }",
      "rules { targets {} canary { target { version: '4' } steps: [1, 2, 50] step: 2 "
      "step_seconds: 604800 max_more_errors_percent: 100 max_latency_percent: 100 "
      "phase: PHASE_ROLLED_BACK reason: 'it failed' } }");
  CAPTURE(rules);
  CHECK(CheckRoute(ARoute("model: 'm' " + rules)) == absl::OkStatus());
}

TEST_CASE("CheckRoute: names what is wrong with a canary", "[registry][catalogue]") {
  struct Row {
    std::string canary, field;
  };
  const std::string target = "target { version: '4' } ", steps = "steps: [5, 50] ";
  const std::string both = target + steps;
  const Row row = GENERATE_COPY(
      as<Row>{}, Row{steps, "target"}, Row{"target { version: 'x' } " + steps, "target.version"},
      Row{"target { version: '3' } " + steps, "target"},
      Row{"target { version: '3' model: 'm' weight: 5 } " + steps, "target"}, Row{target, "steps"},
      Row{target + "steps: 0", "steps[0]"}, Row{target + "steps: 101", "steps[0]"},
      Row{target + "steps: [5, 5]", "steps[1]"}, Row{target + "steps: [50, 5]", "steps[1]"},
      Row{both + "step: 2", "step"}, Row{both + "step_seconds: 604801", "step_seconds"},
      Row{both + "max_more_errors_percent: 101", "max_more_errors_percent"},
      Row{both + "max_latency_percent: 99", "max_latency_percent"},
      Row{both + "max_latency_percent: 100001", "max_latency_percent"},
      Row{both + "reason: '" + std::string(257, 'x') + "'", "reason"},
      Row{both + "reason: 'a\\nb'", "reason"});
  CAPTURE(row.canary);
  const absl::Status status = CheckRoute(
      ARoute("model: 'm' rules { targets { version: '3' } canary { " + row.canary + " } }"));
  CHECK(absl::IsInvalidArgument(status));
  CHECK(BadField(status) == "route.rules[0].canary." + row.field);
}

TEST_CASE("CheckRoute: a canary has so many steps and phases as there are",
          "[registry][catalogue]") {
  v1::Route route = ARoute("model: 'm' rules { targets {} canary { target { version: '4' } } }");
  v1::RouteCanary& canary = *route.mutable_rules(0)->mutable_canary();
  for (uint32_t share = 1; share <= 32; ++share) canary.add_steps(share);
  CHECK(CheckRoute(route).ok());
  canary.add_steps(33);
  CHECK(BadField(CheckRoute(route)) == "route.rules[0].canary.steps");
  canary.mutable_steps()->Truncate(1);
  canary.set_phase(static_cast<v1::RouteCanary::Phase>(7));
  CHECK(BadField(CheckRoute(route)) == "route.rules[0].canary.phase");
}

struct Wrong {
  std::string rules, field;
};

TEST_CASE("CheckRoute: names the field that is wrong", "[registry][catalogue]") {
  const std::string many(1025, 'x');
  const Wrong wrong = GENERATE_COPY(
      as<Wrong>{}, Wrong{"rules {}", "route.rules[0].targets"},
      Wrong{"rules { targets { model: 'a/b' } }", "route.rules[0].targets[0].model"},
      Wrong{"rules { targets { version: 'v3' } }", "route.rules[0].targets[0].version"},
      Wrong{"rules { targets { version: '' } }", "route.rules[0].targets[0].version"},
      Wrong{"rules { targets { alias: '3' } }", "route.rules[0].targets[0].alias"},
      Wrong{"rules { targets { weight: 1000001 } }", "route.rules[0].targets[0].weight"},
      Wrong{"rules { targets { version: '1' } targets { version: '2' } }",
            "route.rules[0].targets"},
      Wrong{"rules { targets { version: '1' weight: 1 } targets { model: 'm' version: '1' } }",
            "route.rules[0].targets[1]"},
      Wrong{"rules { targets {} } rules { targets {} }", "route.rules[1]"},
      Wrong{"rules { matches {} targets {} }", "route.rules[0].matches[0]"},
      Wrong{"rules { matches { header: 'x' } targets {} }", "route.rules[0].matches[0]"},
      Wrong{"rules { matches { exact: 'x' } targets {} }", "route.rules[0].matches[0]"},
      Wrong{"rules { matches { header: 'X-User' exact: 'x' } targets {} }",
            "route.rules[0].matches[0].header"},
      Wrong{"rules { matches { header: ':path' exact: 'x' } targets {} }",
            "route.rules[0].matches[0].header"},
      Wrong{"rules { matches { header: '' exact: 'x' } targets {} }",
            "route.rules[0].matches[0].header"},
      Wrong{"rules { matches { parameter: '' exact: 'x' } targets {} }",
            "route.rules[0].matches[0].parameter"},
      Wrong{"rules { matches { header: 'x' exact: '" + many + "' } targets {} }",
            "route.rules[0].matches[0].exact"},
      Wrong{"rules { matches { header: 'x' prefix: 'a\\r\\nb' } targets {} }",
            "route.rules[0].matches[0].prefix"},
      Wrong{"rules { targets {} split_by_header: 'a b' }", "route.rules[0].split_by_header"},
      Wrong{"rules { targets {} shadow { percent: 5 } }", "route.rules[0].shadow.target"},
      Wrong{"rules { targets {} shadow { target {} } }", "route.rules[0].shadow.percent"},
      Wrong{"rules { targets {} shadow { target {} percent: 101 } }",
            "route.rules[0].shadow.percent"},
      Wrong{"rules { targets {} shadow { target { alias: '-' } percent: 1 } }",
            "route.rules[0].shadow.target.alias"});
  CAPTURE(wrong.rules);
  const absl::Status status = CheckRoute(ARoute("model: 'm' " + wrong.rules));
  CHECK(absl::IsInvalidArgument(status));
  CHECK(BadField(status) == wrong.field);
  CHECK(BadField(CheckRoute(ARoute("rules { targets {} }"))) == "route.model");
}

TEST_CASE("CheckRoute: has limits", "[registry][catalogue]") {
  v1::Route route = ARoute("model: 'm'");
  std::string field;
  SECTION("of rules") {
    for (int i = 0; i <= kMaxRules; ++i) route.add_rules();
    field = "route.rules";
  }
  SECTION("of matches") {
    for (int i = 0; i <= kMaxMatches; ++i) {
      if (i == 0) route.add_rules()->add_targets();
      route.mutable_rules(0)->add_matches();
    }
    field = "route.rules[0].matches";
  }
  SECTION("of targets") {
    v1::RouteRule& rule = *route.add_rules();
    for (int i = 0; i <= kMaxTargets; ++i) rule.add_targets();
    field = "route.rules[0].targets";
  }
  SECTION("of models that are named") {
    for (size_t i = 0; i <= kMaxModelsNamed; ++i) {
      v1::RouteRule& rule = *route.add_rules();
      rule.add_targets()->set_model("m" + std::to_string(i));
      rule.add_matches()->set_header("x");
      rule.mutable_matches(0)->set_exact("x");
    }
    field = "route.rules";
  }
  const absl::Status status = CheckRoute(route);
  CHECK(absl::IsInvalidArgument(status));
  CHECK(BadField(status) == field);
}

}  // namespace
}  // namespace torchfleet::registry
