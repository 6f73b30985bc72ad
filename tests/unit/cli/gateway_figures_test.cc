#include "cli/status/gateway_figures.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace torchfleet::cli {
namespace {

// Of a gateway where worker w has answered `answered` calls in bucket `bucket`.
std::string Page(int answered, int bucket, const std::string& standing = "serving") {
  const std::string count = std::to_string(answered);
  return R"({"workers":[{"worker":"w","model":"m","version":"1","address":"h:1","standing":")" +
         standing + R"(","reason":"slow","in_flight":2,"limit":9,"others":0,"capacity":4,)" +
         R"("outcomes":{"answered":)" + count +
         R"(,"lost":1},"retries":3,"hedges":4,"ejections":1,"latency":{"half_octaves":[[)" +
         std::to_string(bucket) + "," + count + R"(]]}}],"models":[{"model":"m","calls":)" + count +
         R"(,"in_flight":5,"waiting":1,"capacity":4,"retries":1,"hedges":1,)" +
         R"("hedges_won":0,"refused":6,"quarantined":0}]})";
}

TEST_CASE("FleetFigures: several gateways are added up, latencies too", "[cli][status]") {
  FleetFigures figures;
  AddPage("a", Page(90, 10), figures);
  AddPage("b", Page(10, 30, "ejected"), figures);
  const WorkerFigures& worker = figures.workers.at("w");
  CHECK(worker.calls == 102);
  CHECK(worker.outcomes.at("lost") == 2);
  CHECK(worker.retries == 6);
  CHECK(worker.in_flight == 4);
  CHECK(worker.gateways == 2);
  CHECK(worker.ejected_by == 1);
  CHECK(worker.reason == "slow");
  CHECK(*LatencyBuckets::Quantile(worker.late, 0.5) < absl::Milliseconds(1));
  CHECK(*LatencyBuckets::Quantile(worker.late, 0.99) > absl::Milliseconds(500));
  const ModelFigures& model = figures.models.at("m");
  CHECK(model.calls == 100);
  CHECK(model.waiting == 2);
  CHECK(model.refused == 12);
  // Both speak of the same workers.
  CHECK(model.capacity == 4);
  CHECK(model.late == worker.late);
  CHECK(figures.heard == std::vector<std::string>{"a", "b"});
}

TEST_CASE("FleetFigures: what is no page is told, and adds nothing", "[cli][status]") {
  FleetFigures figures;
  for (const char* page : {"", "nonsense", "{}", R"({"workers":[{}],"models":[]})",
                           R"({"workers":{"a":1},"models":[]})"}) {
    AddPage("h:1", page, figures);
  }
  AddPage("h:1", Page(1, 45), figures);  // beyond the last bucket
  CHECK(figures.workers.empty());
  CHECK(figures.models.empty());
  CHECK(figures.heard.empty());
  CHECK(figures.unheard.size() == 6);
  CHECK(figures.unheard[0] ==
        "h:1 answered with what are no figures of workers; expected a gateway's operators' port");
}

TEST_CASE("FleetFigures: calls a second, between two looks at the same gateways", "[cli][status]") {
  FleetFigures before, now;
  AddPage("a", Page(90, 10), before);
  AddPage("a", Page(110, 10), now);
  SetRates(before, absl::Seconds(2), now);
  CHECK(now.workers["w"].calls_per_second == 10);
  CHECK(now.models["m"].calls_per_second == 10);
  FleetFigures restarted;
  AddPage("a", Page(3, 10), restarted);
  SetRates(now, absl::Seconds(1), restarted);
  CHECK_FALSE(restarted.workers["w"].calls_per_second);
  FleetFigures others;
  AddPage("b", Page(200, 10), others);
  SetRates(now, absl::Seconds(1), others);
  CHECK_FALSE(others.workers["w"].calls_per_second);
}

}  // namespace
}  // namespace torchfleet::cli
