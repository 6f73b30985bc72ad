#include <catch2/catch_test_macros.hpp>

#include "gateway/discover/fleet.h"
#include "gateway/edge/statistics_call.h"
#include "tests/unit/gateway/fleet_builder.h"

namespace torchfleet::gateway {
namespace {

inference::ModelStatisticsResponse OneModel(const char* version, uint64_t count, uint64_t last) {
  inference::ModelStatisticsResponse response;
  auto* model = response.add_model_stats();
  model->set_name("m");
  model->set_version(version);
  model->set_inference_count(count);
  model->set_last_inference(last);
  model->mutable_inference_stats()->mutable_success()->set_count(count);
  model->mutable_inference_stats()->mutable_success()->set_ns(10 * count);
  auto* batch = model->add_batch_stats();
  batch->set_batch_size(count);
  batch->mutable_compute_infer()->set_count(1);
  return response;
}

TEST_CASE("Statistics: replicas are added up, versions are not", "[gateway][front]") {
  inference::ModelStatisticsResponse sum;
  AddStatistics(OneModel("1", 3, 50), sum);
  AddStatistics(OneModel("2", 1, 10), sum);
  AddStatistics(OneModel("1", 4, 40), sum);
  AddStatistics(OneModel("1", 3, 0), sum);
  REQUIRE(sum.model_stats_size() == 2);
  const auto& first = sum.model_stats(0);
  CHECK(first.inference_count() == 10);
  CHECK(first.last_inference() == 50);
  CHECK(first.inference_stats().success().ns() == 100);
  REQUIRE(first.batch_stats_size() == 2);
  CHECK(first.batch_stats(0).compute_infer().count() == 2);
  CHECK(sum.model_stats(1).inference_count() == 1);
}

TEST_CASE("Statistics: asked are the ready workers of what is named", "[gateway][front]") {
  Fleet fleet;
  fleet.Apply(MakeSnapshot("i", {MakeEndpoint("a", "m", "1"), MakeEndpoint("b", "m", "2"),
                                 MakeEndpoint("c", "n", "1")}),
              Instant());
  const FleetSnapshot snapshot = fleet.Snapshot();
  CHECK(WorkersOf(snapshot, "", "").size() == 3);
  CHECK(WorkersOf(snapshot, "m", "").size() == 2);
  CHECK(WorkersOf(snapshot, "m", "2").size() == 1);
  CHECK(WorkersOf(snapshot, "x", "").empty());
}

}  // namespace
}  // namespace torchfleet::gateway
