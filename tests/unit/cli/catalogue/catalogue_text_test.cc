#include "cli/catalogue/catalogue_text.h"

#include <google/protobuf/text_format.h>

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace torchfleet::cli {
namespace {

namespace v1 = torchfleet::registry::v1;

template <typename Message>
Message Parsed(const std::string& text) {
  Message message;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(text, &message));
  return message;
}

v1::Model Mnist() {
  return Parsed<v1::Model>(
      "name: 'mnist' versions { version: '3' files { path: 'model.pt' size: 5 sha256: 'ab' } } "
      "versions { version: '4' } aliases { key: 'prod' value: '3' } aliases { key: 'canary' value: "
      "'4' } labels { key: 'team' value: 'vision' } revision: 12 updated_by: 'ann@host' "
      "created_at { seconds: 1800000000 } updated_at { seconds: 1800000060 }");
}

v1::Route ARoute() {
  return Parsed<v1::Route>(
      "model: 'mnist' rules { matches { header: 'x-user' exact: 'ann' } matches { parameter: "
      "'tier' "
      "prefix: 'go' } targets { alias: 'canary' } } rules { targets { version: '3' weight: 90 } "
      "targets { model: 'cnn' weight: 10 } split_by_header: 'x-user' shadow { target { version: "
      "'4' "
      "} percent: 5 } } revision: 13");
}

TEST_CASE("CatalogueText: models, routes and changes in tables", "[cli][catalogue]") {
  CHECK(ModelsAsTable({Mnist()}) ==
        "NAME   VERSIONS  ALIASES          REPLICAS  LABELS       REVISION\n"
        "mnist  3,4       canary=4,prod=3  default   team=vision  12\n");
  CHECK(RoutesAsTable({ARoute()}) ==
        "MODEL  RULES  REST GOES TO        REVISION\n"
        "mnist  2      3=90 cnn/latest=10  13\n");
  v1::Change change = Parsed<v1::Change>(
      "revision: 12 actor: 'ann@host' action: ACTION_UPDATED at { seconds: 1800000060 }");
  *change.mutable_model() = Mnist();
  CHECK(ChangesAsTable({change}) ==
        "REVISION  WHEN                     WHO       WHAT\n"
        "12        2027-01-15 08:01:00 UTC  ann@host  updated model mnist\n");
}

TEST_CASE("CatalogueText: one in lines", "[cli][catalogue]") {
  CHECK(ModelAsText(Mnist()) ==
        "model     mnist\n"
        "labels    team=vision\n"
        "aliases   canary=4,prod=3\n"
        "replicas  default\n"
        "version   3\n"
        "  ab  5 bytes  model.pt\n"
        "version   4\n"
        "revision  12\n"
        "created   2027-01-15 08:00:00 UTC\n"
        "updated   2027-01-15 08:01:00 UTC by ann@host\n");
  v1::Model scaled = Mnist();
  scaled.mutable_placement()->set_max_replicas(8);
  CHECK(ModelAsText(scaled).find("replicas  1 to 8\n") != std::string::npos);
  const std::string route = RouteAsText(ARoute());
  CAPTURE(route);
  CHECK(route.find("rule 0    header x-user is 'ann' and parameter tier begins with 'go' -> "
                   "canary\n") != std::string::npos);
  CHECK(
      route.find("rule 1    every call -> 3=90 cnn/latest=10, split by x-user, 5% copied to 4\n") !=
      std::string::npos);
  CHECK(RouteAsText(Parsed<v1::Route>("model: 'm'")).find("else      latest\nrevision") !=
        std::string::npos);
  const std::string calls = RouteAsText(Parsed<v1::Route>(
      "model: 'm' calls { idempotent: false consistent_hash { parameter: 'sequence_id' "
      "max_load_percent: 150 } admission { max_in_flight: 8 max_waiting: 16 max_wait_ms: 100 } }"));
  CAPTURE(calls);
  CHECK(calls.find("calls     not idempotent, to the same worker by parameter sequence_id up to "
                   "150% of the mean, 8 in flight, 16 waiting, for 100 ms\n") != std::string::npos);
  CHECK(RouteAsText(Parsed<v1::Route>("model: 'm' calls { hedging { percentile: 90 } }"))
            .find("calls     hedged after the 90th percentile\n") != std::string::npos);
}

TEST_CASE("CatalogueText: how far a canary is", "[cli][catalogue]") {
  const auto text = [](const std::string& canary) {
    return RouteAsText(Parsed<v1::Route>(
        "model: 'm' rules { targets { version: '3' } canary { target { version: '4' } "
        "steps: [5, 50, 90] " +
        canary + " } }"));
  };
  const auto says = [&](const std::string& canary, const std::string& expected) {
    CAPTURE(text(canary));
    CHECK(text(canary).find("rule 0    every call -> 3, " + expected + "\n") != std::string::npos);
  };
  says("", "canary 4 at 5%, step 1 of 3");
  says("phase: PHASE_RUNNING step: 1 reason: 'all is well'",
       "canary 4 at 50%, step 2 of 3 (all is well)");
  says("phase: PHASE_PROMOTED step: 2", "canary 4 promoted, at 90%");
  says("phase: PHASE_ROLLED_BACK step: 1 reason: '9 of 9'", "canary 4 rolled back (9 of 9)");
}

}  // namespace
}  // namespace torchfleet::cli
