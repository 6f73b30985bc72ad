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
      "rules { targets {} shadow { target { version: '4' } percent: 100 } }");
  CAPTURE(rules);
  CHECK(CheckRoute(ARoute("model: 'm' " + rules)) == absl::OkStatus());
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
