#include <catch2/catch_test_macros.hpp>
#include <thread>
#include <vector>

#include "gateway/forward/retry_budget.h"
#include "gateway/forward/retry_policy.h"

namespace torchfleet::gateway {
namespace {

Instant At(double seconds) { return Instant::FromStart(absl::Seconds(seconds)); }

int Withdrawals(RetryBudget& budget, Instant now) {
  int count = 0;
  while (budget.Withdraw(now)) ++count;
  return count;
}

TEST_CASE("RetryBudget: grants its share of the calls and no more", "[gateway][retry]") {
  RetryBudget budget({.percent = 20, .per_second = 0, .initial = 0, .capacity = 1000}, At(0));
  CHECK(Withdrawals(budget, At(1000)) == 0);
  for (int i = 0; i < 100; ++i) budget.Deposit();
  CHECK(Withdrawals(budget, At(1000)) == 20);
}

TEST_CASE("RetryBudget: grants some each second whatever the calls", "[gateway][retry]") {
  RetryBudget budget({.percent = 20, .per_second = 10, .initial = 0, .capacity = 100}, At(5));
  CHECK(Withdrawals(budget, At(5)) == 0);
  CHECK(Withdrawals(budget, At(5.05)) == 0);
  CHECK(Withdrawals(budget, At(6)) == 10);
  CHECK(Withdrawals(budget, At(6)) == 0);
  CHECK(Withdrawals(budget, At(6.1)) == 1);
}

TEST_CASE("RetryBudget: what calls put in is not put in by time again", "[gateway][retry]") {
  RetryBudget budget({.percent = 20, .per_second = 10, .initial = 0, .capacity = 100}, At(0));
  for (int i = 0; i < 30; ++i) budget.Deposit();
  CHECK(Withdrawals(budget, At(1)) == 10);
  for (int i = 0; i < 100; ++i) budget.Deposit();
  CHECK(Withdrawals(budget, At(2)) == 20);
}

TEST_CASE("RetryBudget: saves up to its capacity, in whatever way", "[gateway][retry]") {
  RetryBudget budget({.percent = 20, .per_second = 10, .initial = 3, .capacity = 7}, At(0));
  CHECK(Withdrawals(budget, At(0)) == 3);
  for (int i = 0; i < 1000; ++i) budget.Deposit();
  CHECK(Withdrawals(budget, At(0)) == 7);
  CHECK(Withdrawals(budget, At(3600)) == 7);
}

TEST_CASE("RetryBudget: threads get no token twice", "[gateway][retry]") {
  RetryBudget budget({.percent = 20, .per_second = 0, .initial = 500, .capacity = 500}, At(0));
  std::atomic<int> granted = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { granted += Withdrawals(budget, At(0)); });
  }
  threads.clear();
  CHECK(granted == 500);
}

TEST_CASE("RetryPolicy: what a failure means for the call and for the worker", "[gateway][retry]") {
  using absl::StatusCode;
  using enum FailureSource;
  using enum FailureMeaning;
  struct Row {
    StatusCode code;
    FailureSource source;
    bool another, another_if_not_idempotent;
    FailureMeaning meaning;
  };
  const std::vector<Row> rows = {
      {StatusCode::kUnavailable, kBroken, true, false, kLost},
      {StatusCode::kInternal, kBroken, true, false, kLost},
      {StatusCode::kUnknown, kBroken, true, false, kLost},
      {StatusCode::kUnavailable, kNeverSent, true, true, kUnreachable},
      {StatusCode::kDeadlineExceeded, kBroken, false, false, kNothing},
      {StatusCode::kCancelled, kBroken, false, false, kNothing},
      {StatusCode::kUnavailable, kWorker, true, true, kRefused},
      {StatusCode::kInternal, kWorker, false, false, kModelFailed},
      {StatusCode::kUnknown, kWorker, false, false, kModelFailed},
      {StatusCode::kResourceExhausted, kWorker, false, false, kModelFailed},
      {StatusCode::kInvalidArgument, kWorker, false, false, kRequest},
      {StatusCode::kNotFound, kWorker, false, false, kRequest},
      {StatusCode::kDeadlineExceeded, kWorker, false, false, kRequest},
  };
  for (const Row& row : rows) {
    CAPTURE(absl::StatusCodeToString(row.code), row.source);
    AttemptFailure failure{.code = row.code, .source = row.source};
    CHECK(RetryPolicy::MayTryAnother(failure) == row.another);
    CHECK(RetryPolicy::MayTryAnother(failure, /*idempotent=*/false) ==
          row.another_if_not_idempotent);
    CHECK(RetryPolicy::Meaning(failure) == row.meaning);
    failure.no_retry = true;
    CHECK_FALSE(RetryPolicy::MayTryAnother(failure));
  }
}

}  // namespace
}  // namespace torchfleet::gateway
