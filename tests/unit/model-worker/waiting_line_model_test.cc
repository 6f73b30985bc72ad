// WaitingLine against a naive model of itself, over random sequences.

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <deque>
#include <map>
#include <random>

#include "model-worker/queue/waiting_line.h"
#include "tests/unit/model-worker/fake_request.h"

namespace torchfleet::worker {
namespace {

// What the line should hold.
struct Held {
  Request* request;
  size_t level;
  Instant expires, falls_behind;
  bool late = false;
};

class Both {
 public:
  // `skips`: now and then another than the first is served.
  Both(uint32_t seed, LineRules rules, int64_t most_rows, bool skips)
      : random_(seed), rules_(rules), most_rows_(most_rows), skips_(skips), line_(rules) {}

  void Step() {
    const uint32_t what = Draw(10);
    if (what < 5) return Add();
    if (what < 6) return Remove();
    if (what < 9) return Serve();
    now_ = now_ + absl::Milliseconds(Draw(30));
    Expire();
  }

  void Check() const {
    REQUIRE(line_.size() == held_.size());
    std::vector<Request*> all;
    for (Request* r = line_.First(); r; r = line_.Next(*r)) all.push_back(r);
    REQUIRE(all.size() == held_.size());
    std::map<std::pair<uint64_t, size_t>, size_t> last;
    size_t level = 0;
    bool late = false;
    for (Request* const request : all) {
      const size_t at = IndexOf(request);
      const Held& held = held_[at];
      // Level by level, and in each the late ones last; each caller's in order.
      REQUIRE(std::pair(held.level, held.late) >= std::pair(level, late));
      level = held.level;
      late = held.late;
      if (late) continue;
      const auto [own, first] = last.try_emplace({request->terms().caller, level}, at);
      REQUIRE((first || own->second < at));
      own->second = at;
    }
  }

  // What comes now has exactly so many rows before it.
  void CheckRowsAhead() {
    FakeRequest& request = Make(Instant::Infinite());
    const int64_t said = line_.RowsAhead(request.terms());
    if (!line_.Add(request, now_).ok()) return;
    int64_t ahead = 0;
    std::map<uint64_t, int64_t> largest;
    for (Request* r = line_.First(); r != &request; r = line_.Next(*r)) ahead += Rows(*r);
    for (const Held& held : held_) {
      int64_t& rows = largest[held.request->terms().caller];
      rows = std::max(rows, Rows(*held.request) - 1);
    }
    int64_t slack = 0;
    for (const auto& [caller, rows] : largest) slack += rows;
    CAPTURE(said, ahead, held_.size());
    REQUIRE(std::abs(said - ahead) <= slack);
    REQUIRE(line_.Remove(request));
  }

 private:
  uint32_t Draw(uint32_t below) {
    return std::uniform_int_distribution<uint32_t>(0, below - 1)(random_);
  }
  static int64_t Rows(const Request& request) {
    return std::max<int64_t>(request.checked().rows(), 1);
  }
  size_t IndexOf(const Request* request) const {
    const auto found = std::find_if(held_.begin(), held_.end(),
                                    [&](const Held& held) { return held.request == request; });
    REQUIRE(found != held_.end());
    return static_cast<size_t>(found - held_.begin());
  }

  FakeRequest& Make(Instant deadline) {
    RequestTerms terms{.deadline = deadline, .caller = Draw(4)};
    if (rules_.priorities) terms.priority = Draw(static_cast<uint32_t>(rules_.levels.size()) + 1);
    CheckedRequest checked;
    checked.batch = most_rows_ == 1 ? 1 : Draw(static_cast<uint32_t>(most_rows_) + 1);
    return requests_.emplace_back(terms, std::move(checked));
  }

  void Add() {
    FakeRequest& request =
        Make(Draw(3) == 0 ? now_ + absl::Milliseconds(Draw(200)) : Instant::Infinite());
    const RequestTerms& terms = request.terms();
    const size_t level =
        rules_.priorities && terms.priority > 0 ? terms.priority - 1 : rules_.default_level;
    const bool full = held_.size() >= rules_.most;
    const absl::Status status = line_.Add(request, now_);
    if (terms.deadline <= now_) {
      REQUIRE(absl::IsDeadlineExceeded(status));
    } else if (full) {
      REQUIRE(absl::IsUnavailable(status));
    } else {
      REQUIRE(status.ok());
      Held held{&request, level, terms.deadline, Instant::Infinite()};
      const LevelRules& rules = rules_.levels[level];
      if (rules.overdue == LevelRules::Overdue::kReject) {
        held.expires = std::min(held.expires, now_ + rules.timeout);
      } else {
        held.falls_behind = now_ + rules.timeout;
      }
      held_.push_back(held);
      REQUIRE(WaitingLine::Expires(request) == held.expires);
    }
  }
  void Remove() {
    if (requests_.empty()) return;
    FakeRequest& request = requests_[Draw(static_cast<uint32_t>(requests_.size()))];
    const bool here = std::any_of(held_.begin(), held_.end(),
                                  [&](const Held& held) { return held.request == &request; });
    REQUIRE(line_.Remove(request) == here);
    if (here) held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(IndexOf(&request)));
  }
  // The first, or another one, as batches take what fits.
  void Serve() {
    if (held_.empty()) return;
    Request* request = line_.First();
    for (uint32_t skip = skips_ && Draw(4) == 0 ? Draw(4) : 0; skip > 0 && line_.Next(*request);
         --skip) {
      request = line_.Next(*request);
    }
    const size_t at = IndexOf(request);
    line_.Serve(*request);
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(at));
  }
  void Expire() {
    std::vector<Request*> expired, expected;
    line_.TakeExpired(now_, expired);
    for (Held& held : held_) {
      if (held.expires <= now_) expected.push_back(held.request);
      held.late = held.late || held.falls_behind <= now_;
    }
    std::erase_if(held_, [&](const Held& held) { return held.expires <= now_; });
    std::sort(expired.begin(), expired.end());
    std::sort(expected.begin(), expected.end());
    REQUIRE(expired == expected);
  }

  std::mt19937 random_;
  const LineRules rules_;
  const int64_t most_rows_;
  const bool skips_;
  WaitingLine line_;
  Instant now_ = Instant::FromStart(absl::Seconds(1));
  std::deque<FakeRequest> requests_;
  std::vector<Held> held_;
};

LineRules Rules(bool levels, bool delay) {
  LineRules rules;
  rules.most = 60;
  if (levels) {
    rules.levels.assign(3, {});
    rules.priorities = true;
    rules.default_level = 1;
  }
  for (LevelRules& level : rules.levels) level.timeout = absl::Milliseconds(300);
  if (delay) rules.levels.back().overdue = LevelRules::Overdue::kDelay;
  return rules;
}

TEST_CASE("WaitingLine: holds what it should, in an order that it may, whatever happens",
          "[worker][queue]") {
  const bool levels = GENERATE(false, true), delay = GENERATE(false, true);
  const int64_t most_rows = GENERATE(1, 8);
  for (uint32_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    Both both(seed, Rules(levels, delay), most_rows, true);
    for (int step = 0; step < 300; ++step) {
      both.Step();
      both.Check();
    }
  }
}

TEST_CASE("WaitingLine: knows how many rows go before a request", "[worker][queue]") {
  const bool levels = GENERATE(false, true), delay = GENERATE(false, true);
  for (uint32_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    Both both(seed, Rules(levels, delay), 1, false);
    for (int step = 0; step < 300; ++step) {
      both.Step();
      both.CheckRowsAhead();
    }
  }
}

}  // namespace
}  // namespace torchfleet::worker
