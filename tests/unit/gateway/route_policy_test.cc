#include "gateway/route/route_policy.h"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "base/status.h"
#include "gateway/discover/fleet.h"
#include "tests/unit/gateway/fleet_builder.h"

namespace torchfleet::gateway {
namespace {

using registry::v1::WORKER_STATE_STARTING;

FleetSnapshot TestFleet() {
  Fleet fleet;
  fleet.Apply(MakeSnapshot("i", {MakeEndpoint("a", "mnist", "2"), MakeEndpoint("b", "mnist", "10"),
                                 MakeEndpoint("c", "mnist", "9"), MakeEndpoint("d", "mnist", "9"),
                                 MakeEndpoint("e", "mnist", "11", WORKER_STATE_STARTING),
                                 MakeEndpoint("f", "cold", "1", WORKER_STATE_STARTING)}),
              Instant());
  return fleet.Snapshot();
}

TEST_CASE("RoutePolicy: finds the endpoints of a model's version", "[gateway][route]") {
  const FleetSnapshot fleet = TestFleet();
  struct Row {
    std::string model, version;
    absl::StatusCode code;
    std::string chosen;
    size_t endpoints;
  };
  const std::vector<Row> rows = {
      {"mnist", "", absl::StatusCode::kOk, "10", 1},  // numbers, not texts; 11 is not ready
      {"mnist", "9", absl::StatusCode::kOk, "9", 2},
      {"mnist", "2", absl::StatusCode::kOk, "2", 1},
      {"mnist", "11", absl::StatusCode::kUnavailable, "", 0},
      {"mnist", "3", absl::StatusCode::kNotFound, "", 0},
      {"cold", "", absl::StatusCode::kUnavailable, "", 0},
      {"cold", "1", absl::StatusCode::kUnavailable, "", 0},
      {"cold", "2", absl::StatusCode::kNotFound, "", 0},
      {"MNIST", "", absl::StatusCode::kNotFound, "", 0},
  };
  for (const Row& row : rows) {
    CAPTURE(row.model, row.version);
    const auto route = RoutePolicy::Choose(fleet, row.model, row.version);
    CHECK(route.status().code() == row.code);
    if (row.code == absl::StatusCode::kUnavailable) {
      CHECK(RetryDelay(route.status()) == absl::Seconds(1));
    }
    if (!route.ok()) continue;
    CHECK(route->version == row.chosen);
    CHECK(route->addresses.size() == row.endpoints);
  }
}

TEST_CASE("RoutePolicy: refuses what cannot be a name or a version, cut short",
          "[gateway][route][faults]") {
  const FleetSnapshot fleet = TestFleet();
  struct Row {
    std::string model, version, field;
  };
  const std::vector<Row> rows = {
      {"", "", "model_name"},
      {"../x", "", "model_name"},
      {"a/b", "", "model_name"},
      {"a\\b", "", "model_name"},
      {"..", "", "model_name"},
      {std::string("mnist\0x", 7), "", "model_name"},
      {"mnist\n", "", "model_name"},
      {"mnist\xFF", "", "model_name"},
      {std::string(10240, 'x'), "", "model_name"},
      {"mnist", "../1", "model_version"},
      {"mnist", "-1", "model_version"},
      {"mnist", "1.0", "model_version"},
      {"mnist", std::string("1\0", 2), "model_version"},
      {"mnist", std::string(10240, '1'), "model_version"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.model, row.version);
    const absl::Status status = RoutePolicy::Choose(fleet, row.model, row.version).status();
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK(BadField(status) == row.field);
    CHECK(status.message().size() <= kMaxErrorText);
  }
}

TEST_CASE("RoutePolicy: without news of the fleet no model is unknown", "[gateway][route]") {
  const absl::Status status = RoutePolicy::Choose({}, "mnist", "").status();
  CHECK(status.code() == absl::StatusCode::kUnavailable);
  CHECK(RetryDelay(status).has_value());
}

TEST_CASE("RoutePolicy: before one worker every model goes there", "[gateway][route]") {
  const FleetSnapshot fleet = FleetSnapshot::ForWorker("w:1");
  const auto route = RoutePolicy::Choose(fleet, "any", "");
  REQUIRE(route.ok());
  CHECK(route->addresses.front() == "w:1");
  CHECK(absl::IsInvalidArgument(RoutePolicy::Choose(fleet, "../x", "").status()));
}

}  // namespace
}  // namespace torchfleet::gateway
