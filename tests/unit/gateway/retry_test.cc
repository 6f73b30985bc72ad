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

TEST_CASE("RetryPolicy: another replica only for calls that no model answered",
          "[gateway][retry]") {
  using absl::StatusCode;
  struct Row {
    StatusCode code;
    bool answered;
    bool connection_failure;
    bool another;
  };
  const std::vector<Row> rows = {
      {StatusCode::kUnavailable, false, true, true},
      {StatusCode::kInternal, false, true, true},
      {StatusCode::kUnknown, false, true, true},
      {StatusCode::kUnavailable, true, false, true},
      {StatusCode::kInternal, true, false, false},
      {StatusCode::kInvalidArgument, true, false, false},
      {StatusCode::kNotFound, true, false, false},
      {StatusCode::kResourceExhausted, true, false, false},
      {StatusCode::kDeadlineExceeded, true, false, false},
      {StatusCode::kDeadlineExceeded, false, false, false},
      {StatusCode::kCancelled, false, false, false},
  };
  for (const Row& row : rows) {
    CAPTURE(absl::StatusCodeToString(row.code), row.answered);
    const AttemptFailure failure{.code = row.code, .answered = row.answered};
    CHECK(RetryPolicy::IsConnectionFailure(failure) == row.connection_failure);
    CHECK(RetryPolicy::MayTryAnother(failure) == row.another);
  }
}

}  // namespace
}  // namespace torchfleet::gateway
