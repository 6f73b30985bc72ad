#include "cli/up/fleet_plan.h"

#include <catch2/catch_test_macros.hpp>

#include "tests/fakes/temporary_folder.h"

namespace torchfleet::cli {
namespace {

constexpr char kConfig[] =
    "platform: 'pytorch_libtorch'\n"
    "input { name: 'x' data_type: TYPE_FP32 dims: 4 }\n"
    "output { name: 'y' data_type: TYPE_FP32 dims: 4 }\n";

TEST_CASE("PlanFleet: the versions that are served, and how many workers were asked for",
          "[cli][up]") {
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
  CHECK(plan->models == std::map<std::string, std::vector<int64_t>>{{"a", {1, 7}}, {"b", {2}}});
  CHECK(plan->replicas == std::map<std::string, int>{{"b", 2}});
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

}  // namespace
}  // namespace torchfleet::cli
