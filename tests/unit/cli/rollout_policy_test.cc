#include "cli/up/rollout_policy.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace torchfleet::cli {
namespace {

using Versions = std::set<int64_t>;

struct Step {
  std::string what;
  std::vector<int64_t> wanted;
  Versions serving, complete, runs;
};

void Check(const std::vector<Step>& steps) {
  RolloutPolicy policy;
  for (const Step& step : steps) {
    CAPTURE(step.what);
    CHECK(policy.Decide(step.wanted, step.serving, step.complete) == step.runs);
  }
}

TEST_CASE("RolloutPolicy: the old version stays until the new one is wholly up", "[cli][up]") {
  Check({{"begin", {1}, {}, {}, {1}},
         {"up", {1}, {1}, {1}, {1}},
         {"a new version", {2}, {1}, {1}, {1, 2}},
         {"some of its workers", {2}, {1, 2}, {1}, {1, 2}},
         {"the old one falters", {2}, {2}, {}, {1, 2}},
         {"all of its workers", {2}, {1, 2}, {2}, {2}},
         {"and one of them falters", {2}, {}, {}, {2}}});
}

TEST_CASE("RolloutPolicy: a version that never served leaves for the next one", "[cli][up]") {
  Check({{"up", {1}, {1}, {1}, {1}},
         {"one that is broken", {2}, {1}, {1}, {1, 2}},
         {"the next", {3}, {1}, {1}, {1, 3}},
         {"is up", {3}, {1, 3}, {1, 3}, {3}}});
  Check({{"up", {1}, {1}, {1}, {1}},
         {"one that is broken", {2}, {1}, {1}, {1, 2}},
         {"is taken back", {1}, {1}, {1}, {1}}});
}

TEST_CASE("RolloutPolicy: several versions at once, and none", "[cli][up]") {
  Check({{"up", {1, 2}, {1, 2}, {1, 2}, {1, 2}},
         {"the window moves", {2, 3}, {1, 2}, {1, 2}, {1, 2, 3}},
         {"up", {2, 3}, {1, 2, 3}, {1, 2, 3}, {2, 3}},
         {"fewer", {3}, {2, 3}, {2, 3}, {3}},
         {"unloaded", {}, {3}, {3}, {}},
         {"loaded again", {4}, {}, {}, {4}}});
}

}  // namespace
}  // namespace torchfleet::cli
