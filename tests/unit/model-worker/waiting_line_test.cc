#include "model-worker/queue/waiting_line.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <deque>

#include "base/status.h"
#include "tests/unit/model-worker/fake_request.h"

namespace torchfleet::worker {
namespace {

constexpr absl::Duration kSecond = absl::Seconds(1);

// Requests that wait, and who is whose.
class Line {
 public:
  explicit Line(LineRules rules = {}) : line(std::move(rules)) {}

  FakeRequest& Make(RequestTerms terms, int64_t rows = 1) {
    CheckedRequest checked;
    checked.batch = rows;
    return requests_.emplace_back(terms, std::move(checked));
  }
  // Waits from now on.
  FakeRequest& Add(RequestTerms terms = {}, int64_t rows = 1) {
    FakeRequest& request = Make(terms, rows);
    REQUIRE(line.Add(request, now).ok());
    return request;
  }
  Request* Serve() {
    Request* const first = line.First();
    if (first) line.Serve(*first);
    return first;
  }
  std::vector<Request*> Expire() {
    std::vector<Request*> expired;
    line.TakeExpired(now, expired);
    return expired;
  }
  std::vector<Request*> InOrder() const {
    std::vector<Request*> all;
    for (Request* request = line.First(); request; request = line.Next(*request)) {
      all.push_back(request);
    }
    return all;
  }

  WaitingLine line;
  Instant now = Instant::FromStart(absl::Seconds(100));

 private:
  std::deque<FakeRequest> requests_;
};

LineRules Levels(size_t count, size_t default_level = 0) {
  LineRules rules;
  rules.levels.assign(count, {});
  rules.default_level = default_level;
  rules.priorities = true;
  return rules;
}

TEST_CASE("WaitingLine: a caller's requests keep their order", "[worker][queue]") {
  Line line;
  std::vector<Request*> added;
  for (int i = 0; i < 20; ++i) added.push_back(&line.Add({.caller = 1}, 1 + i % 3));
  CHECK(line.InOrder() == added);
  CHECK(line.line.size() == 20);
  for (Request* const expected : added) CHECK(line.Serve() == expected);
  CHECK(line.line.empty());
  CHECK(line.line.First() == nullptr);
}

TEST_CASE("WaitingLine: full, it refuses with the time to try again", "[worker][queue]") {
  LineRules rules;
  rules.most = 2;
  Line line(rules);
  line.Add();
  Request& leaves = line.Add();
  FakeRequest& refused = line.Make({});
  const absl::Status status = line.line.Add(refused, line.now);
  CHECK(absl::IsUnavailable(status));
  CHECK(RetryDelay(status).has_value());
  CHECK_FALSE(line.line.Remove(refused));
  CHECK(line.line.Remove(leaves));
  CHECK_FALSE(line.line.Remove(leaves));
  CHECK(line.line.Add(refused, line.now).ok());
}

TEST_CASE("WaitingLine: the higher priority goes first; a level has its own room",
          "[worker][queue]") {
  LineRules rules = Levels(3, 1);
  rules.levels[2].most = 1;
  Line line(rules);
  Request& low = line.Add({.priority = 3});
  Request& unnamed = line.Add();
  Request& middle = line.Add({.priority = 2});
  Request& high = line.Add({.priority = 1});
  CHECK(line.InOrder() == std::vector<Request*>{&high, &unnamed, &middle, &low});
  CHECK(absl::IsUnavailable(line.line.Add(line.Make({.priority = 3}), line.now)));
  CHECK(line.line.Add(line.Make({.priority = 1}), line.now).ok());
}

TEST_CASE("WaitingLine: a priority that the model has not is INVALID_ARGUMENT", "[worker][queue]") {
  Line line(Levels(3));
  for (const uint64_t priority : {uint64_t{4}, ~uint64_t{0}}) {
    const absl::Status status = line.line.Add(line.Make({.priority = priority}), line.now);
    CHECK(absl::IsInvalidArgument(status));
    CHECK(BadField(status) == "parameters[priority]");
    CHECK(line.line.Check({.priority = priority}) == status);
  }
  CHECK(line.line.empty());
  // Without levels nobody minds.
  Line without;
  CHECK(without.line.Add(without.Make({.priority = 4}), without.now).ok());
}

TEST_CASE("WaitingLine: who has much waiting does not keep others waiting", "[worker][queue]") {
  Line line;
  for (int i = 0; i < 1000; ++i) line.Add({.caller = 1});
  std::vector<Request*> few;
  for (int i = 0; i < 3; ++i) few.push_back(&line.Add({.caller = 2}));
  std::vector<Request*> first;
  for (int i = 0; i < 6; ++i) first.push_back(line.Serve());
  for (Request* const request : few) {
    CHECK(std::find(first.begin(), first.end(), request) != first.end());
  }
}

TEST_CASE("WaitingLine: rows are shared equally, whatever waits", "[worker][queue]") {
  Line line;
  // Rows of a request, and how many of each caller wait at any time.
  const std::vector<int64_t> rows = {1, 2, 8};
  const std::vector<int> backlog = {100, 20, 5};
  for (uint64_t caller = 0; caller < 3; ++caller) {
    for (int i = 0; i < backlog[caller]; ++i) line.Add({.caller = caller}, rows[caller]);
  }
  std::vector<int64_t> served(3);
  for (int i = 0; i < 3000; ++i) {
    const uint64_t caller = line.Serve()->terms().caller;
    served[caller] += rows[caller];
    line.Add({.caller = caller}, rows[caller]);
    for (uint64_t other = 0; other < 3; ++other) {
      REQUIRE(std::abs(served[caller] - served[other]) <= 16);
    }
  }
}

TEST_CASE("WaitingLine: who was idle gains no credit", "[worker][queue]") {
  Line line;
  for (int i = 0; i < 200; ++i) line.Add({.caller = 1});
  for (int i = 0; i < 100; ++i) line.Serve();
  for (int i = 0; i < 100; ++i) line.Add({.caller = 2});
  int first = 0;
  for (int i = 0; i < 50; ++i) first += line.Serve()->terms().caller == 1 ? 1 : 0;
  CHECK(first >= 24);
  CHECK(first <= 26);
}

TEST_CASE("WaitingLine: what was not served is not held against its caller", "[worker][queue]") {
  Line line;
  line.Add({.caller = 1});
  for (int i = 0; i < 20; ++i) line.Add({.caller = 2});
  const bool all = GENERATE(true, false);
  std::vector<Request*> gone;
  for (int i = 0; i < 500; ++i) gone.push_back(&line.Add({.caller = 1}));
  Request* stays = all ? nullptr : &line.Add({.caller = 1});
  for (Request* const request : gone) CHECK(line.line.Remove(*request));
  if (all) stays = &line.Add({.caller = 1});
  std::vector<Request*> first;
  for (int i = 0; i < 4; ++i) first.push_back(line.Serve());
  CHECK(std::find(first.begin(), first.end(), stays) != first.end());
}

TEST_CASE("WaitingLine: ever new callers do not keep an old one waiting", "[worker][queue]") {
  Line line;
  for (int i = 0; i < 8; ++i) line.Add({.caller = 0});
  int served = 0;
  for (uint64_t caller = 1; caller <= 400; ++caller) {
    line.Add({.caller = caller});
    line.Add({.caller = 1000 + caller});
    for (int i = 0; i < 2; ++i) served += line.Serve()->terms().caller == 0 ? 1 : 0;
    line.Add({.caller = 5000 + caller});
  }
  // There is always somebody new, and three come for two that are served.
  CHECK(served == 8);
}

TEST_CASE("WaitingLine: in order, callers are all one", "[worker][queue]") {
  LineRules rules;
  rules.in_order = true;
  Line line(rules);
  std::vector<Request*> added;
  for (uint64_t i = 0; i < 30; ++i) added.push_back(&line.Add({.caller = i % 7 == 0 ? i : 1}));
  CHECK(line.InOrder() == added);
  CHECK(line.line.RowsAhead({.caller = 99}) == 30);
}

TEST_CASE("WaitingLine: what waits too long is rejected or falls behind", "[worker][queue]") {
  LineRules rules;
  rules.levels[0].timeout = kSecond;
  rules.levels[0].overdue = GENERATE(LevelRules::Overdue::kReject, LevelRules::Overdue::kDelay);
  const bool reject = rules.levels[0].overdue == LevelRules::Overdue::kReject;
  Line line(rules);
  Request& old = line.Add({.caller = 1}, 3);
  CHECK(line.Expire().empty());
  line.now = line.now + kSecond / 2;
  Request& later = line.Add({.caller = 2});
  line.now = line.now + kSecond / 2;
  const std::vector<Request*> expired = line.Expire();
  if (reject) {
    CHECK(WaitingLine::Expires(old) == line.now);
    CHECK(expired == std::vector<Request*>{&old});
    CHECK(line.InOrder() == std::vector<Request*>{&later});
    CHECK_FALSE(line.line.Remove(old));
  } else {
    CHECK(expired.empty());
    CHECK(line.InOrder() == std::vector<Request*>{&later, &old});
    // Who comes now goes before it.
    CHECK(line.line.RowsAhead({.caller = 1}) == 1);
    CHECK(line.line.RowsAhead({.caller = 3}) == 1);
    Request& fresh = line.Add({.caller = 1});
    CHECK(line.InOrder() == std::vector<Request*>{&later, &fresh, &old});
    CHECK(line.line.Remove(old));
  }
}

TEST_CASE("WaitingLine: a deadline counts where waiting long is allowed", "[worker][queue]") {
  LineRules rules;
  rules.levels[0].timeout = kSecond;
  rules.levels[0].overdue = LevelRules::Overdue::kDelay;
  Line line(rules);
  Request& request = line.Add({.deadline = line.now + 2 * kSecond});
  line.now = line.now + kSecond;
  CHECK(line.Expire().empty());
  line.now = line.now + kSecond;
  CHECK(line.Expire() == std::vector<Request*>{&request});
  CHECK(line.line.empty());
  CHECK(absl::IsDeadlineExceeded(line.line.Add(line.Make({.deadline = line.now}), line.now)));
}

TEST_CASE("WaitingLine: a request may say that it waits for less, where that is allowed",
          "[worker][queue]") {
  struct Case {
    bool allowed;
    absl::Duration rule, own, expected;
  };
  const absl::Duration infinite = absl::InfiniteDuration();
  const auto [allowed, rule, own, expected] = GENERATE_COPY(
      Case{true, 4 * kSecond, kSecond, kSecond}, Case{true, 4 * kSecond, 9 * kSecond, 4 * kSecond},
      Case{true, infinite, kSecond, kSecond}, Case{false, infinite, kSecond, infinite},
      Case{false, 4 * kSecond, kSecond, 4 * kSecond});
  LineRules rules;
  rules.levels[0].timeout = rule;
  rules.levels[0].own_timeouts = allowed;
  Line line(rules);
  Request& request = line.Add({.timeout = own});
  CHECK(WaitingLine::Expires(request) == line.now + expected);
}

TEST_CASE("WaitingLine: nobody comes after who has left for good", "[worker][queue]") {
  Line line(Levels(2));
  Request& one = line.Add({.caller = 1, .priority = 2});
  Request& two = line.Add({.caller = 2, .priority = 1});
  std::vector<Request*> all;
  line.line.TakeAll(all);
  CHECK(all == std::vector<Request*>{&two, &one});
  CHECK(line.line.empty());
  CHECK_FALSE(line.line.Remove(one));
  CHECK(line.line.RowsAhead({.priority = 2}) == 0);
}

}  // namespace
}  // namespace torchfleet::worker
