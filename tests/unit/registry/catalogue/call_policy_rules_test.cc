#include "registry/catalogue/rules/call_policy_rules.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <limits>
#include <string>

#include "base/status.h"
#include "registry/catalogue/rules/route_rules.h"
#include "tests/unit/registry/catalogue/messages.h"

namespace torchfleet::registry {
namespace {

v1::Route WithCalls(const std::string& calls) {
  return ARoute("model: 'm' calls { " + calls + " }");
}

TEST_CASE("CheckCallPolicy: takes what a route may say, with rules or without",
          "[registry][catalogue]") {
  const std::string calls =
      GENERATE(as<std::string>{}, "", "idempotent: false", "idempotent: true",
               "consistent_hash { header: 'x-user' }",
               "consistent_hash { parameter: 'sequence_id' max_load_percent: 100 }",
               "consistent_hash { parameter: 'sequence_id' max_load_percent: 1000 }", "hedging {}",
               "hedging { disabled: true }", "hedging { percentile: 50 }",
               "hedging { percentile: 99.9 }", "admission {}", "admission { max_in_flight: 1 }",
               "admission { max_in_flight: 1000000 max_waiting: 65536 max_wait_ms: 60000 }");
  CAPTURE(calls);
  CHECK(CheckRoute(WithCalls(calls)) == absl::OkStatus());
  v1::Route route = WithCalls(calls);
  route.add_rules()->add_targets();
  CHECK(CheckRoute(route) == absl::OkStatus());
}

struct Wrong {
  std::string calls, field;
};

TEST_CASE("CheckCallPolicy: names the field that is wrong", "[registry][catalogue]") {
  const std::string hash = "route.calls.consistent_hash";
  const Wrong wrong = GENERATE_COPY(
      as<Wrong>{}, Wrong{"consistent_hash {}", hash},
      Wrong{"consistent_hash { max_load_percent: 150 }", hash},
      Wrong{"consistent_hash { header: 'X-User' }", hash + ".header"},
      Wrong{"consistent_hash { header: '' }", hash + ".header"},
      Wrong{"consistent_hash { header: ':path' }", hash + ".header"},
      Wrong{"consistent_hash { parameter: '' }", hash + ".parameter"},
      Wrong{"consistent_hash { parameter: 'a\\nb' }", hash + ".parameter"},
      Wrong{"consistent_hash { parameter: 'a' max_load_percent: 99 }", hash + ".max_load_percent"},
      Wrong{"consistent_hash { parameter: 'a' max_load_percent: 1001 }",
            hash + ".max_load_percent"},
      Wrong{"hedging { percentile: 49.9 }", "route.calls.hedging.percentile"},
      Wrong{"hedging { percentile: 99.95 }", "route.calls.hedging.percentile"},
      Wrong{"hedging { percentile: -1 }", "route.calls.hedging.percentile"},
      Wrong{"admission { max_in_flight: 1000001 }", "route.calls.admission.max_in_flight"},
      Wrong{"admission { max_waiting: 65537 }", "route.calls.admission.max_waiting"},
      Wrong{"admission { max_wait_ms: 60001 }", "route.calls.admission.max_wait_ms"});
  CAPTURE(wrong.calls);
  const absl::Status status = CheckRoute(WithCalls(wrong.calls));
  CHECK(absl::IsInvalidArgument(status));
  CHECK(BadField(status) == wrong.field);
}

TEST_CASE("CheckCallPolicy: a percentile is a number", "[registry][catalogue]") {
  v1::CallPolicy calls;
  for (const double value :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    calls.mutable_hedging()->set_percentile(value);
    CHECK(BadField(CheckCallPolicy(calls)) == "route.calls.hedging.percentile");
  }
}

}  // namespace
}  // namespace torchfleet::registry
