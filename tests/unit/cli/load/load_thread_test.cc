// A thread of a load, on a real loop, with calls that end as the test says.

#include "cli/load/load_thread.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <latch>
#include <set>

#include "tests/unit/cli/load/fake_caller.h"

namespace torchfleet::cli {
namespace {

using Begun = FakeCaller::Begun;

const CallEnd kNeverSent = {.code = "no connection", .never_sent = true, .message = "nobody"};

void AnswerAtOnce(FakeCaller& caller, const Begun& begun) { caller.EndLater(begun.call); }

LoadShare Closed(uint32_t in_flight, uint64_t calls) {
  LoadShare share;
  share.in_flight = in_flight;
  share.calls = calls;
  return share;
}

class OwnArrivals final : public Arrivals {
 public:
  explicit OwnArrivals(std::vector<absl::Duration> times) : times_(std::move(times)) {}
  std::optional<absl::Duration> Next() override { return given_.Next(); }

 private:
  const std::vector<absl::Duration> times_;
  GivenArrivals given_{times_, 0, 1};
};

LoadShare Open(std::vector<absl::Duration> arrivals) {
  LoadShare share;
  share.arrivals = std::make_unique<OwnArrivals>(std::move(arrivals));
  share.in_flight = 100;
  return share;
}

TEST_CASE("LoadThread: a closed loop keeps so many calls in flight", "[cli][load]") {
  FakeCaller::Record record;
  std::vector<uint32_t> open;
  const LoadTally tally =
      RunFakeLoad(Closed(5, 100), record, [&](FakeCaller& caller, const Begun& begun) {
        // None ends before all places are taken, and then one for each that begins.
        open.push_back(begun.call);
        if (open.size() < 5) return;
        caller.EndLater(open.front());
        open.erase(open.begin());
        if (caller.record().begun.size() < 100) return;
        for (const uint32_t call : open) caller.EndLater(call);
      });
  CHECK(record.begun.size() == 100);
  CHECK(record.most_in_flight == 5);
  CHECK(tally.ok == 100);
  CHECK(tally.all_calls == 100);
  CHECK(tally.latency.count() == 100);
}

TEST_CASE("LoadThread: so many calls as were asked for, and no more", "[cli][load]") {
  for (const uint64_t calls : {0, 1, 3, 7, 8, 9, 50}) {
    CAPTURE(calls);
    FakeCaller::Record record;
    const LoadTally tally = RunFakeLoad(Closed(8, calls), record, AnswerAtOnce);
    CHECK(record.begun.size() == calls);
    CHECK(tally.ok == calls);
    CHECK(record.most_in_flight <= static_cast<int>(std::min<uint64_t>(calls, 8)));
  }
}

TEST_CASE("LoadThread: calls of the warm-up are made and not counted", "[cli][load]") {
  FakeCaller::Record record;
  LoadShare share = Closed(1, 3);
  share.warm_up = absl::Milliseconds(30);
  const Instant start = MonotonicClock().Now();
  const LoadTally tally =
      RunFakeLoad(std::move(share), record, [](FakeCaller& caller, const Begun& begun) {
        const bool first = caller.record().begun.size() == 1;
        caller.EndLater(begun.call, first ? kNeverSent : CallEnd{.ok = true});
      });
  REQUIRE(record.begun.size() >= 4);
  CHECK(tally.ok == 3);
  CHECK(tally.failed() == 0);
  CHECK(tally.latency.count() == 3);
  CHECK(tally.all_calls == record.begun.size());
  CHECK(record.begun[record.begun.size() - 3].at - start >= absl::Milliseconds(30));
}

TEST_CASE("LoadThread: an open loop's latency runs from when a call was due", "[cli][load]") {
  FakeCaller::Record record;
  std::vector<absl::Duration> due;
  for (int i = 0; i < 10; ++i) due.push_back(absl::Milliseconds(i));
  const LoadTally tally =
      RunFakeLoad(Open(due), record, [](FakeCaller& caller, const Begun& begun) {
        // The first holds the generator up; each is answered as soon as it begins.
        const MonotonicClock clock;
        const bool first = caller.record().begun.size() == 1;
        while (first && clock.Now() - begun.at < absl::Milliseconds(50)) continue;
        caller.EndLater(begun.call);
      });
  CHECK(tally.ok == 10);
  // The last one was due 9 ms after the first, and began 50 ms after it.
  CHECK(tally.latency.Quantile(0) >= absl::Milliseconds(41));
  CHECK(tally.latency.max() >= absl::Milliseconds(50));
  CHECK(tally.late >= 9);
  CHECK(tally.not_begun == 0);
}

TEST_CASE("LoadThread: an open loop begins calls whatever becomes of those before", "[cli][load]") {
  FakeCaller::Record record;
  std::vector<uint32_t> open;
  const std::vector<absl::Duration> due(20, absl::Milliseconds(1));
  const LoadTally tally =
      RunFakeLoad(Open(due), record, [&](FakeCaller& caller, const Begun& begun) {
        open.push_back(begun.call);
        if (open.size() < 20) return;
        for (const uint32_t call : open) caller.EndLater(call);
      });
  CHECK(tally.ok == 20);
  CHECK(record.most_in_flight == 20);
  CHECK(std::set<uint32_t>(open.begin(), open.end()).size() == 20);
}

TEST_CASE("LoadThread: arrivals over the calls allowed in flight are told, not sent",
          "[cli][load]") {
  FakeCaller::Record record;
  LoadShare share = Open({absl::ZeroDuration(), absl::ZeroDuration(), absl::ZeroDuration(),
                          absl::ZeroDuration(), absl::ZeroDuration()});
  share.in_flight = 2;
  const LoadTally tally = RunFakeLoad(std::move(share), record, AnswerAtOnce);
  CHECK(record.begun.size() == 2);
  CHECK(tally.ok == 2);
  CHECK(tally.not_begun == 3);
}

TEST_CASE("LoadThread: arrivals of the warm-up are not counted, sent or not", "[cli][load]") {
  FakeCaller::Record record;
  const absl::Duration later = absl::Milliseconds(300);
  LoadShare share = Open({absl::ZeroDuration(), absl::ZeroDuration(), later});
  share.in_flight = 1;
  share.warm_up = later;
  const LoadTally tally = RunFakeLoad(std::move(share), record, AnswerAtOnce);
  CHECK(record.begun.size() == 2);
  CHECK(tally.all_calls == 2);
  CHECK(tally.ok == 1);
  CHECK(tally.not_begun == 0);
}

TEST_CASE("LoadThread: a load without an arrival ends", "[cli][load]") {
  FakeCaller::Record record;
  CHECK(RunFakeLoad(Open({}), record, AnswerAtOnce).all_calls == 0);
  CHECK(RunFakeLoad(Open({}), record, AnswerAtOnce).window() == absl::ZeroDuration());
}

TEST_CASE("LoadThread: a closed loop pauses when nobody can be reached", "[cli][load]") {
  FakeCaller::Record record;
  const LoadTally tally = RunFakeLoad(
      Closed(2, 4), record,
      [](FakeCaller& caller, const Begun& begun) { caller.EndLater(begun.call, kNeverSent); });
  REQUIRE(record.begun.size() == 4);
  CHECK(record.begun[2].at - record.begun[0].at >= absl::Milliseconds(50));
  CHECK(tally.ok == 0);
  CHECK(tally.failures.at("no connection").count == 4);
  CHECK(tally.failures.at("no connection").message == "nobody");
}

TEST_CASE("LoadThread: failures are counted by code and have no latency", "[cli][load]") {
  FakeCaller::Record record;
  const LoadTally tally =
      RunFakeLoad(Closed(2, 9), record, [](FakeCaller& caller, const Begun& begun) {
        const size_t count = caller.record().begun.size();
        caller.EndLater(begun.call, count % 3 == 0   ? CallEnd{.code = "503", .message = "full"}
                                    : count % 3 == 1 ? CallEnd{.code = "500", .message = "broken"}
                                                     : CallEnd{.ok = true});
      });
  CHECK(tally.ok == 3);
  CHECK(tally.latency.count() == 3);
  CHECK(tally.failures.at("503").count == 3);
  CHECK(tally.failures.at("500").count == 3);
  CHECK(tally.failed() == 6);
}

// Answers are ID|TEXT.
class TextCheck final : public AnswerCheck {
 public:
  absl::StatusOr<CheckedAnswer> Read(std::string_view answer) const override {
    const size_t bar = answer.find('|');
    return CheckedAnswer{std::string(answer.substr(0, bar)),
                         {{{"data", std::string(answer.substr(bar + 1))}}}};
  }
};

TEST_CASE("LoadThread: requests take turns, and no two calls have the same id", "[cli][load]") {
  FakeCaller::Record record;
  const TextCheck check;
  LoadShare share = Closed(2, 9);
  share.requests = 3;
  share.check = &check;
  share.id_prefix = "mine-";
  const LoadTally tally =
      RunFakeLoad(std::move(share), record, [](FakeCaller& caller, const Begun& begun) {
        caller.EndLater(begun.call, {.ok = true}, begun.id + "|" + std::to_string(begun.request));
      });
  CHECK(tally.ok == 9);
  std::set<std::string> ids;
  for (size_t i = 0; i < record.begun.size(); ++i) {
    CHECK(record.begun[i].request == i % 3);
    CHECK(record.begun[i].id.starts_with("mine-"));
    ids.insert(record.begun[i].id);
  }
  CHECK(ids.size() == 9);
}

TEST_CASE("LoadThread: wrong answers are counted as such, each and every one", "[cli][load]") {
  FakeCaller::Record record;
  LoadProgress progress;
  const TextCheck check;
  LoadShare share = Closed(1, 10);
  share.check = &check;
  share.progress = &progress;
  const LoadTally tally =
      RunFakeLoad(std::move(share), record, [](FakeCaller& caller, const Begun& begun) {
        const size_t count = caller.record().begun.size();
        const std::string id = count == 4 ? "another's" : begun.id;
        caller.EndLater(begun.call, {.ok = true}, id + (count == 7 ? "|odd" : "|right"));
      });
  CHECK(tally.ok == 8);
  CHECK(tally.latency.count() == 8);
  CHECK(tally.failures.at("wrong answer").count == 2);
  CHECK(tally.failures.at("wrong answer").message.starts_with("the answer to call"));
  CHECK(progress.Take().failed == 2);
}

TEST_CASE("LoadThread: Stop ends it when what is in flight has ended", "[cli][load]") {
  FakeCaller::Record record;
  FakeCaller* caller = nullptr;
  std::latch begun_two(2);
  LoadShare share;
  share.in_flight = 2;
  const auto thread = FakeLoad(
      std::move(share), record, [&](FakeCaller&, const Begun&) { begun_two.count_down(); },
      &caller);
  thread->Start();
  begun_two.wait();
  thread->Stop();
  caller->EndLater(1);
  caller->EndLater(0);
  thread->Join();
  CHECK(record.begun.size() == 2);
  CHECK(thread->tally().ok == 2);
}

TEST_CASE("LoadThread: Stop ends a pause, and a wait for the next arrival", "[cli][load]") {
  for (const bool open : {false, true}) {
    FakeCaller::Record record;
    std::latch begun(1);
    LoadShare share = Open({absl::ZeroDuration(), absl::Hours(1)});
    if (!open) share.arrivals.reset();
    share.in_flight = 1;
    const auto thread =
        FakeLoad(std::move(share), record, [&](FakeCaller& caller, const Begun& call) {
          caller.EndLater(call.call, kNeverSent);
          if (caller.record().begun.size() == 1) begun.count_down();
        });
    thread->Start();
    begun.wait();
    thread->Stop();
    thread->Join();
    CHECK(thread->tally().failed() == record.begun.size());
  }
}

TEST_CASE("LoadThread: one that is destroyed stops, also before it has started", "[cli][load]") {
  FakeCaller::Record record;
  std::latch begun(1);
  FakeLoad(Closed(1, 1), record, AnswerAtOnce).reset();
  CHECK(record.begun.empty());
  LoadShare endless;
  auto thread = FakeLoad(std::move(endless), record, [&](FakeCaller& caller, const Begun& call) {
    if (caller.record().begun.size() == 1) begun.count_down();
    caller.EndLater(call.call);
  });
  thread->Start();
  begun.wait();
  thread.reset();
  CHECK(!record.begun.empty());
}

TEST_CASE("LoadThread: the time is what it took, unless more calls could have come",
          "[cli][load]") {
  FakeCaller::Record record;
  const absl::Duration duration = absl::Milliseconds(200);
  LoadShare closed;
  closed.duration = duration;
  closed.warm_up = absl::Milliseconds(5);
  const LoadTally timed = RunFakeLoad(std::move(closed), record, AnswerAtOnce);
  CHECK(timed.ok > 0);
  CHECK(timed.window() == duration);

  LoadShare rare = Open({absl::ZeroDuration(), absl::Hours(1)});
  rare.duration = duration;
  const LoadTally one = RunFakeLoad(std::move(rare), record, AnswerAtOnce);
  CHECK(one.ok == 1);
  CHECK(one.window() == duration);

  // The last arrival ends it.
  LoadShare brief = Open({absl::ZeroDuration(), absl::Milliseconds(3)});
  brief.duration = absl::Hours(1);
  const LoadTally two = RunFakeLoad(std::move(brief), record, AnswerAtOnce);
  CHECK(two.ok == 2);
  CHECK(two.window() >= absl::Milliseconds(3));
  CHECK(two.window() < absl::Hours(1));
}

TEST_CASE("LoadThread: all calls are told to the display, and none is left in flight",
          "[cli][load]") {
  FakeCaller::Record record;
  LoadProgress progress;
  LoadShare share = Closed(3, 20);
  share.progress = &progress;
  const LoadTally tally =
      RunFakeLoad(std::move(share), record, [](FakeCaller& caller, const Begun& begun) {
        const bool fails = caller.record().begun.size() % 4 == 0;
        caller.EndLater(begun.call, fails ? CallEnd{.code = "500"} : CallEnd{.ok = true});
      });
  CHECK(tally.failed() == 5);
  const auto told = progress.Take();
  CHECK(told.latency.count() == 15);
  CHECK(told.failed == 5);
  CHECK(told.in_flight == 0);
}

TEST_CASE("LoadThread: requests take turns, or come shuffled", "[cli][load]") {
  for (const bool shuffled : {false, true}) {
    FakeCaller::Record record;
    LoadShare share = Closed(1, 40);
    share.requests = 20;
    if (shuffled) share.shuffle_seed = 3;
    RunFakeLoad(std::move(share), record, AnswerAtOnce);
    std::vector<size_t> first;
    for (size_t i = 0; i < 20; ++i) first.push_back(record.begun[i].request);
    CHECK(std::is_sorted(first.begin(), first.end()) == !shuffled);
    CHECK(std::set<size_t>(first.begin(), first.end()).size() == 20);
  }
}

}  // namespace
}  // namespace torchfleet::cli
