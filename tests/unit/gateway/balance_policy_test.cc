#include "gateway/balance/balance_policy.h"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <set>
#include <string>
#include <vector>

namespace torchfleet::gateway {
namespace {

using Candidates = std::vector<BalanceCandidate>;

TEST_CASE("BalancePolicy: chooses by outstanding calls, failures and attempts",
          "[gateway][balance]") {
  struct Row {
    std::string name;
    Candidates candidates;
    std::optional<size_t> choice;
  };
  const std::vector<Row> rows = {
      {"nobody", {}, std::nullopt},
      {"the only one", {{.outstanding = 9}}, 0},
      {"the fewest outstanding", {{.outstanding = 3}, {.outstanding = 1}, {.outstanding = 2}}, 1},
      {"one that failed lately comes last",
       {{.outstanding = 0, .failed_lately = true}, {.outstanding = 100}},
       1},
      {"but is better than none", {{.outstanding = 0, .failed_lately = true}}, 0},
      {"of those that failed the fewest outstanding",
       {{.outstanding = 2, .failed_lately = true}, {.outstanding = 1, .failed_lately = true}},
       1},
      {"never one that was tried", {{.outstanding = 0, .tried = true}, {.outstanding = 5}}, 1},
      {"all tried", {{.outstanding = 0, .tried = true}, {.tried = true}}, std::nullopt},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    for (const uint64_t random : {0, 1, 2, 77}) {
      CHECK(BalancePolicy::Choose(row.candidates, random) == row.choice);
    }
  }
}

TEST_CASE("BalancePolicy: breaks ties by the random value, and only among equals",
          "[gateway][balance]") {
  const Candidates candidates = {{.outstanding = 1}, {.outstanding = 7}, {.outstanding = 1}};
  std::set<size_t> chosen;
  for (uint64_t random = 0; random < 16; ++random) {
    chosen.insert(*BalancePolicy::Choose(candidates, random));
  }
  CHECK(chosen == std::set<size_t>{0, 2});
}

}  // namespace
}  // namespace torchfleet::gateway
