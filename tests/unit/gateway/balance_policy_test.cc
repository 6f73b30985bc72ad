#include "gateway/balance/balance_policy.h"

#include <catch2/catch_test_macros.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace torchfleet::gateway {
namespace {

using Candidates = std::vector<BalanceCandidate>;

BalanceChoice Choose(const Candidates& candidates, uint64_t random) {
  return BalancePolicy::Choose(candidates.size(), random, [&](size_t i) { return candidates[i]; });
}

constexpr BalanceCandidate kAside{.standing = Standing::kAside};
constexpr BalanceCandidate kSlow{.standing = Standing::kSlow};

TEST_CASE("BalancePolicy: of two the one where a call waits less", "[gateway][balance]") {
  struct Row {
    std::string name;
    Candidates candidates;
    std::optional<size_t> choice;
    bool full = false;
  };
  const BalanceCandidate full{.full = true}, tried{.tried = true};
  const std::vector<Row> rows = {
      {"nobody", {}, std::nullopt},
      {"the only one", {{.load = 9}}, 0},
      {"fewer calls", {{.load = 3}, {.load = 1}}, 1},
      {"faster", {{.load = 3, .latency = 1}, {.load = 1, .latency = 3}}, 0},
      {"more at once", {{.load = 3, .weight = 8}, {.load = 1, .weight = 1}}, 0},
      {"a newcomer gets less", {{.load = 0, .weight = 0.1}, {.load = 8, .weight = 1}}, 1},
      {"unknown latency is like the other's", {{.load = 2}, {.load = 3, .latency = 7}}, 0},
      {"one that is aside comes last", {kAside, {.load = 100}}, 1},
      {"but is better than none", {kAside}, 0},
      {"a slow one comes last too", {kSlow, {.load = 100}}, 1},
      {"but before one that is aside", {kSlow, kAside}, 0},
      {"and takes what others have no room for", {kSlow, full}, 0},
      {"never one that was tried", {tried, {.load = 5}}, 1},
      {"all tried", {tried, tried}, std::nullopt},
      {"all full", {full, full}, std::nullopt, true},
      {"what works is full: not to what does not", {full, kAside}, std::nullopt, true},
      {"full and tried are no room", {full, tried}, std::nullopt, true},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    for (const uint64_t random : {0, 1, 2, 77}) {
      const BalanceChoice choice = Choose(row.candidates, random);
      CHECK(choice.index == row.choice);
      CHECK(choice.full == row.full);
      CHECK(choice.aside ==
            (row.choice && row.candidates[*row.choice].standing == Standing::kAside));
    }
  }
}

TEST_CASE("BalancePolicy: equals get equal shares, few or many", "[gateway][balance]") {
  for (const size_t count : {2, 3, 5, 8, 9, 40}) {
    CAPTURE(count);
    std::map<size_t, int> chosen;
    for (uint64_t random = 0; random < 1000 * count; ++random) {
      ++chosen[*Choose(Candidates(count), random).index];
    }
    CHECK(chosen.size() == count);
    for (const auto& [index, times] : chosen) {
      CHECK(times > 800);
      CHECK(times < 1200);
    }
  }
}

TEST_CASE("BalancePolicy: the worst of many is never taken, the best not always",
          "[gateway][balance]") {
  Candidates candidates(20);
  for (size_t i = 0; i < candidates.size(); ++i) candidates[i].load = static_cast<double>(i);
  std::map<size_t, int> chosen;
  for (uint64_t random = 0; random < 10'000; ++random) ++chosen[*Choose(candidates, random).index];
  CHECK_FALSE(chosen.contains(19));
  CHECK(chosen[0] > chosen[10]);
  CHECK(chosen[0] < 2'000);
}

TEST_CASE("BalancePolicy: finds the one of a thousand that works", "[gateway][balance]") {
  Candidates candidates(1000, kAside);
  candidates[617].standing = Standing::kGood;
  for (uint64_t random = 0; random < 100; ++random) {
    CHECK(Choose(candidates, random).index == 617);
  }
  candidates[617].full = true;
  CHECK(Choose(candidates, 1).full);
}

TEST_CASE("BalancePolicy: reads few of many", "[gateway][balance]") {
  size_t reads = 0;
  for (uint64_t random = 0; random < 1000; ++random) {
    BalancePolicy::Choose(1000, random, [&](size_t) {
      ++reads;
      return BalanceCandidate();
    });
  }
  CHECK(reads <= 2'010);
}

TEST_CASE("BalancePolicy: what was tried near is tried elsewhere then, if it may",
          "[gateway][balance][zone]") {
  const BalanceCandidate tried{.tried = true};
  const auto again = [](const Candidates& all, size_t near, uint64_t random) {
    return BalancePolicy::ChooseNear(all.size(), near, /*leave=*/true, random,
                                     [&](size_t i) { return all[i]; });
  };
  for (const uint64_t random : {0, 1, 2, 77}) {
    CHECK(again({tried, {}, {}, kAside}, 2, random).index == 2);
    // Also where it waits a little.
    CHECK(again({tried, {}, {.load = 9, .weight = 0.1}}, 2, random).index == 2);
    CHECK(again({tried, {}, kAside}, 2, random).index == 1);
    CHECK(again({tried, {}, tried}, 2, random).index == 1);
    CHECK_FALSE(again({tried, tried}, 1, random).index);
  }
}

TEST_CASE("BalancePolicy: near ones first, others where a call would wait less",
          "[gateway][balance][zone]") {
  struct Row {
    std::string name;
    Candidates near, others;
    // Among all, the near ones first.
    std::optional<size_t> choice;
    bool full = false;
  };
  const BalanceCandidate full{.full = true}, tried{.tried = true}, idle{.latency = 1};
  const BalanceCandidate busy{.load = 4, .latency = 1, .weight = 4};
  const std::vector<Row> rows = {
      {"idle at home", {idle}, {idle}, 0},
      {"idle at home, if slower", {{.latency = 9}}, {idle}, 0},
      {"a slot is free at home", {{.load = 3, .latency = 1, .weight = 4}}, {idle}, 0},
      {"busy at home, idle away", {busy}, {idle}, 1},
      {"busy at home, as busy away", {busy}, {busy}, 0},
      {"busy at home, idle but far away", {busy}, {{.latency = 5}}, 0},
      {"an idle newcomer at home", {{.latency = 1, .weight = 0.1}}, {busy}, 0},
      {"a newcomer at home, idle away", {{.load = 1, .weight = 0.1}}, {idle}, 1},
      {"full at home", {full}, {busy}, 1},
      {"full everywhere", {full}, {full}, std::nullopt, true},
      {"tried at home", {tried}, {busy}, 1},
      {"tried at home, full away", {tried}, {full}, std::nullopt, true},
      {"tried everywhere", {tried}, {tried}, std::nullopt},
      {"aside at home", {kAside}, {busy}, 1},
      {"aside at home, full away", {kAside}, {full}, std::nullopt, true},
      {"full at home, aside away", {full}, {kAside}, std::nullopt, true},
      {"aside everywhere", {kAside}, {kAside}, 0},
      {"slow at home", {kSlow}, {busy}, 1},
      {"slow everywhere", {kSlow}, {{.standing = Standing::kSlow, .load = 3}}, 0},
      {"busy at home, slow away", {busy}, {kSlow}, 0},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    Candidates all = row.near;
    all.insert(all.end(), row.others.begin(), row.others.end());
    for (const uint64_t random : {0, 1, 2, 77}) {
      const BalanceChoice choice = BalancePolicy::ChooseNear(
          all.size(), row.near.size(), /*leave=*/false, random, [&](size_t i) { return all[i]; });
      CHECK(choice.index == row.choice);
      CHECK(choice.full == row.full);
      CHECK(choice.aside == (row.choice && all[*row.choice].standing == Standing::kAside));
    }
  }
}

}  // namespace
}  // namespace torchfleet::gateway
