#include "gateway/balance/concurrency_policy.h"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "gateway/balance/endpoint_judgement.h"

namespace torchfleet::gateway {
namespace {

TEST_CASE("ConcurrencyPolicy: fewer calls when answers take too long, else more",
          "[gateway][limit]") {
  struct Row {
    std::string name;
    ConcurrencyFigures figures;
    int64_t next;
  };
  // Of 10 ms 20 are allowed, of 1 ms 3.
  const std::vector<Row> rows = {
      {"nothing known", {.limit = kHighestLimit}, kHighestLimit},
      {"quick answers",
       {.limit = 80, .outstanding = 10, .capacity = 60, .latency = 10e3, .baseline = 10e3},
       91},
      {"a wait that nobody minds",
       {.limit = 80, .outstanding = 80, .capacity = 60, .latency = 19e3, .baseline = 10e3},
       91},
      {"not more than it can answer in time",
       {.limit = 80, .outstanding = 10, .capacity = 4, .latency = 10e3, .baseline = 10e3},
       8},
      {"which others' calls are part of",
       {.limit = 80,
        .outstanding = 10,
        .others = 5,
        .capacity = 4,
        .latency = 10e3,
        .baseline = 10e3},
       6},
      {"by the ratio",
       {.limit = 4096, .outstanding = 140, .capacity = 40, .latency = 4e3, .baseline = 1e3},
       105},
      {"but not by more than half",
       {.limit = 4096, .outstanding = 400, .capacity = 80, .latency = 900e3, .baseline = 1e3},
       200},
      {"and not below two full batches",
       {.limit = 40, .outstanding = 40, .capacity = 16, .latency = 900e3, .baseline = 10e3},
       34},
      {"shared with others' calls",
       {.limit = 40,
        .outstanding = 20,
        .others = 60,
        .capacity = 32,
        .latency = 900e3,
        .baseline = 10e3},
       17},
      {"a worker that does not say how many",
       {.limit = 200, .outstanding = 90, .latency = 900e3, .baseline = 10e3},
       64},
      {"full, and nobody answers: as it is",
       {.limit = 20, .outstanding = 20, .capacity = 4, .baseline = 10e3},
       20},
      {"a slow model may have as long a queue as a call",
       {.limit = 16, .outstanding = 16, .capacity = 4, .latency = 950e3, .baseline = 500e3},
       8},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    CHECK(ConcurrencyPolicy::NextLimit(row.figures) == row.next);
  }
}

TEST_CASE("ConcurrencyPolicy: the baseline falls at once, rises slowly, and not by a queue",
          "[gateway][limit]") {
  CHECK(ConcurrencyPolicy::NextBaseline({.latency = 7e3}) == 7e3);
  CHECK(ConcurrencyPolicy::NextBaseline({.latency = 5e3, .baseline = 7e3}) == 5e3);
  CHECK(ConcurrencyPolicy::NextBaseline({.baseline = 7e3}) == 7e3);
  const double risen = ConcurrencyPolicy::NextBaseline({.latency = 12e3, .baseline = 7e3});
  CHECK(risen > 7e3);
  CHECK(risen < 8e3);
  CHECK(ConcurrencyPolicy::NextBaseline(
            {.outstanding = 100, .capacity = 4, .latency = 90e3, .baseline = 7e3}) == 7e3);
  // With few calls there the model itself has become slower.
  CHECK(ConcurrencyPolicy::NextBaseline(
            {.outstanding = 2, .capacity = 4, .latency = 90e3, .baseline = 7e3}) > 7e3);
}

TEST_CASE("ConcurrencyPolicy: a full queue leads to a stable limit", "[gateway][limit]") {
  // A worker that runs 4 calls of 20 ms at once and always has as many as it may.
  ConcurrencyFigures figures{.limit = 4096, .capacity = 4, .latency = 20e3};
  figures.baseline = ConcurrencyPolicy::NextBaseline(figures);
  for (int i = 0; i < 300; ++i) {
    figures.outstanding = std::min<int64_t>(figures.limit, 1000);
    figures.latency = 20e3 * static_cast<double>(figures.outstanding) / 4;
    figures.limit = ConcurrencyPolicy::NextLimit(figures);
    figures.baseline = ConcurrencyPolicy::NextBaseline(figures);
  }
  CHECK(figures.limit >= 8);
  CHECK(figures.limit <= 12);
  CHECK(figures.baseline < 22e3);
}

}  // namespace
}  // namespace torchfleet::gateway
