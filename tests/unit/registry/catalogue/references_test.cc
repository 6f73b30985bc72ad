#include "registry/catalogue/rules/references.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string>

#include "base/status.h"
#include "tests/unit/registry/catalogue/messages.h"

namespace torchfleet::registry {
namespace {

absl::Status CheckAgainstMnist(const std::string& route) {
  const v1::Model mnist = Mnist();
  return CheckReferences(ARoute(route), [&](std::string_view name) {
    return name == mnist.name() ? &mnist : nullptr;
  });
}

TEST_CASE("References: what a route names must be there", "[registry][catalogue]") {
  struct Row {
    std::string route, field;
  };
  const Row row = GENERATE(
      Row{"model: 'mnist'", ""}, Row{"model: 'mnist' rules { targets {} }", ""},
      Row{"model: 'mnist' rules { targets { version: '2' } }", ""},
      Row{"model: 'mnist' rules { targets { alias: 'prod' } }", ""},
      // Another name for it: no call ends at a model of that name.
      Row{"model: 'digits' rules { targets { model: 'mnist' } }", ""},
      Row{"model: 'digits'", "route.model"},
      Row{"model: 'digits' rules { matches { header: 'x' exact: '' } targets { model: 'mnist' } }",
          "route.model"},
      Row{"model: 'digits' rules { targets {} }", "route.rules[0].targets[0]"},
      Row{"model: 'mnist' rules { targets { version: '4' } }", "route.rules[0].targets[0]"},
      Row{"model: 'mnist' rules { targets { alias: 'canary' } }", "route.rules[0].targets[0]"},
      Row{"model: 'mnist' rules { targets {} targets { model: 'cnn' } }",
          "route.rules[0].targets[1]"},
      Row{"model: 'mnist' rules { targets {} shadow { target { version: '9' } percent: 1 } }",
          "route.rules[0].shadow.target"},
      Row{"model: 'mnist' rules { targets {} canary { target { alias: 'prod' } steps: 5 } }", ""},
      Row{"model: 'mnist' rules { targets {} canary { target { version: '9' } steps: 5 } }",
          "route.rules[0].canary.target"});
  CAPTURE(row.route);
  const absl::Status status = CheckAgainstMnist(row.route);
  CHECK(status.ok() == row.field.empty());
  if (row.field.empty()) return;
  CHECK(absl::IsFailedPrecondition(status));
  CHECK(BadField(status) == row.field);
}

TEST_CASE("References: what is named may not go", "[registry][catalogue]") {
  const v1::Model before = Mnist();
  v1::Model after = before;
  const v1::Route to_prod = ToProd();
  const v1::Route to_two = ARoute("model: 'x' rules { targets { model: 'mnist' version: '2' } }");
  const v1::Route elsewhere = ARoute("model: 'x' rules { targets { model: 'y' } }");
  const v1::Route dangling = ARoute("model: 'x' rules { targets { model: 'mnist' version: '7' } }");
  SECTION("an alias") {
    after.mutable_aliases()->clear();
    CHECK(Narrows(before, after));
    CHECK(absl::IsFailedPrecondition(CheckStillThere(to_prod, before, &after)));
    CHECK(CheckStillThere(to_two, before, &after).ok());
  }
  SECTION("an alias that moves stays") {
    const std::string first = "1";
    (*after.mutable_aliases())["prod"] = first;
    CHECK_FALSE(Narrows(before, after));
    CHECK(CheckStillThere(to_prod, before, &after).ok());
  }
  SECTION("a version") {
    after.mutable_versions()->DeleteSubrange(1, 1);
    CHECK(Narrows(before, after));
    CHECK(absl::IsFailedPrecondition(CheckStillThere(to_two, before, &after)));
    CHECK(CheckStillThere(to_prod, before, &after).ok());
    // It was wrong before: by force.
    CHECK(CheckStillThere(dangling, before, &after).ok());
  }
  SECTION("the model") {
    for (const auto& route : {to_prod, to_two, dangling}) {
      CHECK(absl::IsFailedPrecondition(CheckStillThere(route, before, nullptr)));
    }
    CHECK(CheckStillThere(elsewhere, before, nullptr).ok());
  }
}

}  // namespace
}  // namespace torchfleet::registry
