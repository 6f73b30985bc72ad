#include "cli/up/fleet_plan.h"

#include <catch2/catch_test_macros.hpp>

#include "tests/fakes/temporary_folder.h"

namespace torchfleet::cli {
namespace {

constexpr char kConfig[] =
    "platform: 'pytorch_libtorch'\n"
    "input { name: 'x' data_type: TYPE_FP32 dims: 4 }\n"
    "output { name: 'y' data_type: TYPE_FP32 dims: 4 }\n";

std::vector<std::string> Ids(const std::vector<PlannedWorker>& workers) {
  std::vector<std::string> ids;
  for (const PlannedWorker& worker : workers) ids.push_back(worker.worker_id());
  return ids;
}

TEST_CASE("PlanFleet: a worker for each served version, as many as asked for", "[cli][up]") {
  const TemporaryFolder folder;
  folder.Write("a/config.pbtxt", std::string(kConfig) + "version_policy { all {} }");
  folder.Write("a/1/model.pt", "");
  folder.Write("a/7/model.pt", "");
  folder.Write("b/config.pbtxt", kConfig);
  folder.Write("b/1/model.pt", "");
  folder.Write("b/2/model.pt", "");
  folder.Write("broken/config.pbtxt", "input {");
  const auto plan = PlanFleet(folder.path(), {{"b", 2}});
  REQUIRE(plan.ok());
  CHECK(Ids(WorkersOf(*plan, {})) == std::vector<std::string>{"a-1-0", "a-7-0", "b-2-0", "b-2-1"});
  REQUIRE(plan->refused.size() == 1);
  CHECK(plan->refused.at("broken").find("config.pbtxt") != std::string::npos);
}

TEST_CASE("PlanFleet: says what is missing and how to get it", "[cli][up]") {
  const TemporaryFolder folder;
  CHECK(absl::IsNotFound(PlanFleet(folder.path() / "none", {}).status()));
  const absl::Status empty = PlanFleet(folder.path(), {}).status();
  CHECK(absl::IsNotFound(empty));
  CHECK(std::string(empty.message()).find("torchfleet train") != std::string::npos);
  folder.Write("a/config.pbtxt", kConfig);
  folder.Write("a/1/model.pt", "");
  const absl::Status wrong = PlanFleet(folder.path(), {{"c", 2}}).status();
  CHECK(absl::IsInvalidArgument(wrong));
  CHECK(std::string(wrong.message()).find("'c'") != std::string::npos);
}

TEST_CASE("WorkersOf: what the catalogue wishes goes before what the user said", "[cli][up]") {
  FleetPlan plan;
  plan.models = {{"a", {1}}, {"b", {2, 3}}, {"c", {1}}};
  plan.replicas = {{"a", 2}, {"c", 2}};
  const auto workers = WorkersOf(
      plan, {{"a", {.replicas = 3, .revision = 9}}, {"b", {.unloaded = true}}, {"c", {}}});
  CHECK(Ids(workers) == std::vector<std::string>{"a-1-0", "a-1-1", "a-1-2", "c-1-0", "c-1-1"});
  CHECK(workers[0].wish == 9);
}

}  // namespace
}  // namespace torchfleet::cli
