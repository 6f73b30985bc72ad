#include "cli/catalogue/catalogue_words.h"

#include <google/protobuf/text_format.h>

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace torchfleet::cli {
namespace {

namespace v1 = torchfleet::registry::v1;

TEST_CASE("EditMap: sets and takes away", "[cli][catalogue]") {
  TextMap map;
  REQUIRE(EditMap({"prod=3", "canary=4", "note=a=b-", "empty="}, map).ok());
  CHECK(map.at("prod") == "3");
  CHECK(map.at("note") == "a=b-");
  CHECK(map.at("empty").empty());
  REQUIRE(EditMap({"prod=4", "canary-"}, map).ok());
  CHECK(map.at("prod") == "4");
  CHECK(map.size() == 3);
  CHECK(absl::IsNotFound(EditMap({"canary-"}, map)));
  for (const char* wrong : {"", "prod", "=3", "-", "="}) {
    CAPTURE(wrong);
    CHECK(absl::IsInvalidArgument(EditMap({wrong}, map)));
  }
}

TEST_CASE("ParseSplit: versions, aliases and other models with their weights", "[cli][catalogue]") {
  const auto targets = ParseSplit({"3=90", "prod=9", "a=b/12=1", "cnn/canary=0"});
  REQUIRE(targets.ok());
  REQUIRE(targets->size() == 4);
  CHECK((*targets)[0].version() == "3");
  CHECK((*targets)[0].weight() == 90);
  CHECK((*targets)[0].model().empty());
  CHECK((*targets)[1].alias() == "prod");
  CHECK((*targets)[2].model() == "a=b");
  CHECK((*targets)[2].version() == "12");
  CHECK((*targets)[3].model() == "cnn");
  CHECK((*targets)[3].alias() == "canary");
  for (const char* wrong : {"", "3", "3=", "=5", "3=x", "3=-1", "cnn/=1", "/3=1", "cnn/3"}) {
    CAPTURE(wrong);
    CHECK(absl::IsInvalidArgument(ParseSplit({wrong}).status()));
  }
}

TEST_CASE("Split: changes the rule for all calls and no other", "[cli][catalogue]") {
  v1::Route route;
  Split(*ParseSplit({"3=1"}), "", route);
  REQUIRE(route.rules_size() == 1);
  CHECK(route.rules(0).targets_size() == 1);

  REQUIRE(google::protobuf::TextFormat::ParseFromString(
      "rules { matches { header: 'x-tester' exact: 'yes' } targets { version: '5' } }", &route));
  Split(*ParseSplit({"3=9", "4=1"}), "x-user", route);
  REQUIRE(route.rules_size() == 2);
  CHECK(route.rules(0).targets(0).version() == "5");
  CHECK(route.rules(1).split_by_header() == "x-user");
  route.mutable_rules(1)->mutable_shadow()->set_percent(5);
  Split(*ParseSplit({"4=1"}), "", route);
  REQUIRE(route.rules_size() == 2);
  CHECK(route.rules(1).targets_size() == 1);
  CHECK(route.rules(1).split_by_header() == "x-user");
  CHECK(route.rules(1).shadow().percent() == 5);
}

v1::Route ARoute(const std::string& text) {
  v1::Route route;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(text, &route));
  return route;
}

TEST_CASE("ParseCanary: a version, its steps and limits", "[cli][catalogue]") {
  const auto canary = ParseCanary({.version = "4", .step_time = absl::Seconds(90)});
  REQUIRE(canary.ok());
  CHECK(canary->target().version() == "4");
  CHECK(std::vector<uint32_t>(canary->steps().begin(), canary->steps().end()) ==
        std::vector<uint32_t>{1, 5, 25, 50, 100});
  CHECK(canary->step_seconds() == 90);
  CHECK(canary->phase() == v1::RouteCanary::PHASE_UNSPECIFIED);
  CHECK(ParseCanary({.version = "other/next"})->target().alias() == "next");
  CHECK(ParseCanary({.version = "other/next"})->target().model() == "other");
  for (const CanaryWords& wrong :
       {CanaryWords{}, CanaryWords{.version = "m/"}, CanaryWords{.version = "4", .steps = ""},
        CanaryWords{.version = "4", .steps = "1,x"}, CanaryWords{.version = "4", .steps = "1,"},
        CanaryWords{.version = "4", .step_time = absl::Milliseconds(500)}}) {
    CAPTURE(wrong.version, wrong.steps);
    CHECK(absl::IsInvalidArgument(ParseCanary(wrong).status()));
  }
}

TEST_CASE("BeginCanary: beside the targets that there are, or the one that is named",
          "[cli][catalogue]") {
  const auto canary = *ParseCanary({.version = "4"});
  v1::Route route = ARoute("model: 'm'");
  const absl::Status unknown = BeginCanary(canary, std::nullopt, "", route);
  CHECK(absl::IsFailedPrecondition(unknown));
  CHECK(unknown.message().find("--stable") != std::string::npos);
  REQUIRE(BeginCanary(canary, *ParseTarget("3"), "x-user", route).ok());
  REQUIRE(route.rules_size() == 1);
  CHECK(route.rules(0).targets(0).version() == "3");
  CHECK(route.rules(0).split_by_header() == "x-user");
  CHECK(route.rules(0).canary().target().version() == "4");

  route = ARoute(
      "model: 'm' rules { matches { header: 'x' exact: '' } targets {} } rules { "
      "targets { version: '1' weight: 1 } targets { version: '2' weight: 1 } "
      "canary { target { version: '3' } steps: 5 phase: PHASE_ROLLED_BACK } }");
  REQUIRE(BeginCanary(canary, std::nullopt, "", route).ok());
  CHECK(route.rules(1).targets_size() == 2);
  CHECK(route.rules(1).canary().target().version() == "4");
  CHECK(route.rules(1).canary().phase() == v1::RouteCanary::PHASE_UNSPECIFIED);
  CHECK_FALSE(route.rules(0).has_canary());
}

TEST_CASE("EndCanary, PromoteCanary: the targets have all, or the version on trial",
          "[cli][catalogue]") {
  const v1::Route route = ARoute(
      "model: 'm' rules { targets { version: '1' weight: 1 } targets { version: '2' weight: 1 } "
      "canary { target { alias: 'next' } steps: 5 } split_by_header: 'x-user' }");
  v1::Route ended = route, promoted = route;
  REQUIRE(EndCanary(ended).ok());
  CHECK(ended.rules(0).targets_size() == 2);
  CHECK_FALSE(ended.rules(0).has_canary());
  REQUIRE(PromoteCanary(promoted).ok());
  REQUIRE(promoted.rules(0).targets_size() == 1);
  CHECK(promoted.rules(0).targets(0).alias() == "next");
  CHECK_FALSE(promoted.rules(0).has_canary());
  CHECK(promoted.rules(0).split_by_header() == "x-user");
  CHECK(absl::IsFailedPrecondition(EndCanary(ended)));
  CHECK(absl::IsFailedPrecondition(PromoteCanary(ended)));
}

}  // namespace
}  // namespace torchfleet::cli
