#include "model-worker/batch/batch_policy.h"

#include <catch2/catch_test_macros.hpp>
#include <random>

namespace torchfleet::worker {
namespace {

constexpr absl::Duration kMs = absl::Milliseconds(1);

Instant At(double milliseconds) { return Instant::FromStart(kMs * (1000 + milliseconds)); }

struct Case {
  const char* what;
  BatchRules rules;
  BatchChance chance;
  // Now is At(0).
  int64_t rows;
  Instant until = Instant::Infinite();
};

TEST_CASE("BatchPolicy: closes a batch when its rules say so", "[worker][batch]") {
  const BatchRules delay{.most = 8, .preferred = {}, .delay = 5 * kMs};
  const BatchRules preferred{.most = 8, .preferred = {2, 4}, .delay = 5 * kMs};
  const BatchRules preferred_only{.most = 8, .preferred = {4}};
  const BatchRules at_once{.most = 8, .preferred = {}, .delay = absl::ZeroDuration()};
  const BatchRules adaptive{.most = 8};
  const std::vector<Case> cases = {
      {"has all rows", delay, {.rows = 8, .oldest = At(0)}, 8},
      {"has more, of one request", delay, {.rows = 9, .oldest = At(0)}, 9},
      {"what comes next does not fit", delay, {.rows = 3, .full = true, .oldest = At(0)}, 3},
      {"may grow", delay, {.rows = 3, .oldest = At(-2)}, 0, At(3)},
      {"has waited", delay, {.rows = 3, .oldest = At(-5)}, 3},
      {"would be late", delay, {.rows = 3, .oldest = At(-1), .latest_start = At(2)}, 0, At(2)},
      {"is late", delay, {.rows = 3, .oldest = At(-1), .latest_start = At(-9)}, 3},
      {"has a preferred size", preferred, {.rows = 2, .oldest = At(0)}, 2},
      {"is over a preferred size", preferred, {.rows = 3, .oldest = At(0)}, 2},
      {"is over the highest", preferred, {.rows = 7, .oldest = At(0)}, 4},
      {"is full beyond the highest", preferred, {.rows = 8, .oldest = At(0)}, 8},
      {"is below the preferred", preferred, {.rows = 1, .oldest = At(0)}, 0, At(5)},
      {"preferred, and nothing says wait", preferred_only, {.rows = 1, .oldest = At(0)}, 1},
      {"need not wait", at_once, {.rows = 1, .oldest = At(0)}, 1},
      {"nothing is known", adaptive, {.rows = 1, .oldest = At(0)}, 1},
      {"few come",
       adaptive,
       {.rows = 1, .oldest = At(0), .fixed = 4 * kMs, .rows_while_fixed = 1.4},
       1},
      {"more come",
       adaptive,
       {.rows = 1, .oldest = At(-1), .fixed = 4 * kMs, .rows_while_fixed = 3},
       0,
       At(3)},
      {"as many wait as come",
       adaptive,
       {.rows = 3, .oldest = At(-1), .fixed = 4 * kMs, .rows_while_fixed = 3.2},
       3},
      {"has waited for as long as a run costs",
       adaptive,
       {.rows = 1, .oldest = At(-4), .fixed = 4 * kMs, .rows_while_fixed = 30},
       1},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    const BatchDecision decision = DecideBatch(c.rules, c.chance, At(0));
    CHECK(decision.rows == c.rows);
    CHECK(decision.until == c.until);
  }
}

// A chance as it may be, with the rules that it stands under.
struct Drawn {
  BatchRules rules;
  BatchChance chance;
};

Drawn Draw(std::mt19937& random) {
  std::uniform_real_distribution<double> part(0, 1);
  Drawn drawn;
  drawn.rules.most = 1 + static_cast<int64_t>(random() % 64);
  if (random() % 3 == 0) drawn.rules.delay = kMs * 10 * part(random);
  if (random() % 3 == 0)
    drawn.rules.preferred = {1 + static_cast<int64_t>(random()) % drawn.rules.most};
  drawn.chance.rows = 1 + static_cast<int64_t>(random()) % drawn.rules.most;
  drawn.chance.full = random() % 8 == 0;
  drawn.chance.oldest = At(-20 * part(random));
  if (random() % 2 == 0) drawn.chance.latest_start = At(40 * part(random) - 20);
  drawn.chance.fixed = kMs * 10 * part(random);
  drawn.chance.rows_while_fixed = 80 * part(random);
  return drawn;
}

TEST_CASE("BatchPolicy: holds its promises whatever comes", "[worker][batch]") {
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    const auto [rules, chance] = Draw(random);
    const BatchDecision now = DecideBatch(rules, chance, At(0));
    CAPTURE(i, chance.rows, rules.most);
    // Rows that are there, or a moment to come.
    REQUIRE(now.rows <= chance.rows);
    REQUIRE((now.rows > 0 || now.until > At(0)));
    if (chance.full) REQUIRE(now.rows == chance.rows);
    if (now.rows > 0) continue;
    // Neither too late for a deadline, nor later than the delay, or what pays.
    REQUIRE(now.until <= chance.latest_start);
    REQUIRE(now.until <= chance.oldest + rules.delay.value_or(chance.fixed));
    // Then it is one, as is everything that is larger.
    REQUIRE(DecideBatch(rules, chance, now.until).rows == chance.rows);
    BatchChance larger = chance;
    larger.rows = rules.most;
    REQUIRE(DecideBatch(rules, larger, At(0)).rows == rules.most);
  }
}

TEST_CASE("BatchPolicy: with less to come a batch never waits longer", "[worker][batch]") {
  std::mt19937 random(2);
  for (int i = 0; i < 20'000; ++i) {
    auto [rules, chance] = Draw(random);
    rules.delay.reset();
    const BatchDecision many = DecideBatch(rules, chance, At(0));
    chance.rows_while_fixed /= 2;
    const BatchDecision few = DecideBatch(rules, chance, At(0));
    // At the lower rate it closes as soon, with as many rows.
    if (many.rows > 0) REQUIRE(few.rows == many.rows);
    if (few.rows == 0) REQUIRE(few.until == many.until);
  }
}

TEST_CASE("BatchPolicy: one call at a time never waits", "[worker][batch]") {
  // It comes again when it has been answered: not even one in each run.
  for (const double fixed : {0.01, 1.0, 100.0}) {
    for (double expected = 0; expected <= 1.5; expected += 0.05) {
      const BatchChance chance{
          .rows = 1, .oldest = At(0), .fixed = kMs * fixed, .rows_while_fixed = expected};
      CHECK(DecideBatch({.most = 32}, chance, At(0)).rows == 1);
    }
  }
}

}  // namespace
}  // namespace torchfleet::worker
