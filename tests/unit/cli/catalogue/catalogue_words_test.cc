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

}  // namespace
}  // namespace torchfleet::cli
