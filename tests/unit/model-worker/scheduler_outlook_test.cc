// Which requests a scheduler refuses as they could not be done in time, and who
// is to run those that it takes.

#include <catch2/generators/catch_generators_range.hpp>
#include <thread>

#include "base/status.h"
#include "tests/unit/model-worker/scheduler_desk.h"

namespace torchfleet::worker {
namespace {

constexpr absl::Duration kMs = absl::Milliseconds(1);

RequestTerms Within(const Desk& desk, absl::Duration limit) {
  return {.deadline = desk.clock.Now() + limit};
}

TEST_CASE("Scheduler: refuses what cannot be done in time, with the time to try again",
          "[worker][queue]") {
  Desk desk(Batched(1));
  // As long as little is known, everything is tried.
  CHECK(desk.scheduler.Push(desk.Make(Within(desk, kMs))).ok());
  desk.Take();
  desk.Finish(10 * kMs);
  desk.Teach(1, 10 * kMs);
  desk.Push();
  desk.Take();
  for (int i = 0; i < 4; ++i) desk.Push();
  // One runs and four wait: 10 ms for each, and for this one.
  FakeRequest& refused = desk.Make(Within(desk, 45 * kMs));
  const absl::Status status = desk.scheduler.Push(refused);
  CHECK(absl::IsUnavailable(status));
  CHECK(RetryDelay(status) >= 5 * kMs);
  CHECK(RetryDelay(status) <= 20 * kMs);
  CHECK(refused.answers() == 0);
  CHECK(desk.statistics.refused_early == 1);
  CHECK(desk.scheduler.Push(desk.Make(Within(desk, 75 * kMs))).ok());
  CHECK(desk.statistics.refused_early == 1);
}

TEST_CASE("Scheduler: what waited too long to be done in time is not run", "[worker][queue]") {
  Desk desk(Batched(1));
  desk.Teach(1, 10 * kMs);
  desk.Push();
  desk.Take();
  FakeRequest& hopeless = desk.Push(Within(desk, 30 * kMs));
  Request& stays = desk.Push();
  desk.Finish(25 * kMs);
  CHECK(desk.Take() == std::vector<Request*>{&stays});
  CHECK(absl::IsUnavailable(hopeless.status()));
  CHECK(RetryDelay(hopeless.status()).has_value());
  CHECK(desk.statistics.refused_early == 1);
  CHECK(desk.statistics.expired == 0);
}

TEST_CASE("Scheduler: idle, it does not refuse for ever what it believes to be slow",
          "[worker][queue]") {
  Desk desk(Batched(1));
  desk.Teach(1, 500 * kMs);
  // By now the model takes 1 ms, which nobody knows.
  int refused = 0, taken_in_a_row = 0;
  for (int i = 0; i < 1000 && taken_in_a_row < 20; ++i) {
    if (!desk.scheduler.Push(desk.Make(Within(desk, 20 * kMs))).ok()) {
      ++refused;
      taken_in_a_row = 0;
      continue;
    }
    ++taken_in_a_row;
    desk.Take();
    desk.Finish(kMs);
  }
  CHECK(refused > 0);
  CHECK(refused < 1000);
  CHECK(taken_in_a_row == 20);
}

TEST_CASE("Scheduler: busy with others, it tries one now and then", "[worker][queue]") {
  Desk desk(Batched(8));
  // Small ones run all the time. How long large ones take was true once.
  for (int i = 0; i < 20; ++i) desk.Teach(1 + 7 * (i % 2), 10 * kMs + 50 * kMs * (i % 2), 1);
  int taken = 0;
  for (int i = 0; i < 3000 && taken == 0; ++i) {
    desk.Push();
    desk.Take();
    taken += desk.scheduler.Push(desk.Make(Within(desk, 30 * kMs), 8)).ok() ? 1 : 0;
    desk.Finish(10 * kMs);
  }
  CHECK(taken == 1);
  CHECK(desk.Take().front()->checked().rows() == 8);
}

TEST_CASE("Scheduler: a bad hour is forgotten", "[worker][queue]") {
  Desk desk(Batched(1));
  desk.Teach(1, 10 * kMs);
  // The model takes as long as ever, but all of them take twenty times as long.
  for (int i = 0; i < 200; ++i) {
    desk.Push(Within(desk, absl::Hours(1)));
    desk.clock.Advance(190 * kMs);
    desk.Take();
    desk.Finish(10 * kMs);
  }
  // Behind another the next one is not expected to be quick.
  desk.Push();
  desk.Take();
  CHECK_FALSE(desk.scheduler.Push(desk.Make(Within(desk, 50 * kMs))).ok());
  desk.Finish(10 * kMs);
  const bool alone = GENERATE(true, false);
  if (alone) {
    CHECK(desk.scheduler.Push(desk.Make(Within(desk, 50 * kMs))).ok());
    return;
  }
  // Those without a deadline tell as well.
  for (int i = 0; i < 300; ++i) {
    desk.Push();
    desk.Take();
    desk.Finish(10 * kMs);
  }
  desk.Push();
  desk.Take();
  CHECK(desk.scheduler.Push(desk.Make(Within(desk, 50 * kMs))).ok());
}

TEST_CASE("Scheduler: what is not known of large batches refuses nobody", "[worker][queue]") {
  Desk desk(Batched(32));
  desk.Teach(1, 10 * kMs);
  // 64 rows are two batches; that each takes 32 times as long as one row is one
  // of many things that could be.
  for (int i = 0; i < 64; ++i) {
    CHECK(desk.scheduler.Push(desk.Make(Within(desk, 100 * kMs))).ok());
  }
  CHECK(desk.Take().size() == 32);
}

TEST_CASE("Scheduler: with one core a loop runs what is short", "[worker][queue]") {
  Desk desk(Batched(64), 1);
  Request& first = desk.Push();
  // Nothing is known yet.
  CHECK_FALSE(desk.scheduler.TakeHere(desk.batch).taken);
  CHECK(desk.Take() == std::vector<Request*>{&first});
  desk.Finish(kMs / 2);
  for (int i = 0; i < 20; ++i) desk.Teach(1 + 31 * (i % 2), kMs / 2 + 10 * kMs * (i % 2), 1);
  Request& shorter = desk.Push();
  CHECK(desk.scheduler.TakeHere(desk.batch).taken);
  CHECK(desk.batch.requests() == std::vector<Request*>{&shorter});
  // Nothing else runs meanwhile.
  desk.Push();
  Batch more;
  CHECK_FALSE(desk.scheduler.TakeHere(more).taken);
  desk.Finish(kMs / 2);
  CHECK(desk.scheduler.TakeHere(desk.batch).taken);
  desk.Finish(kMs / 2);
  Request& longer = desk.Push({}, 32);
  CHECK_FALSE(desk.scheduler.TakeHere(desk.batch).taken);
  CHECK(desk.Take() == std::vector<Request*>{&longer});
}

TEST_CASE("Scheduler: with many cores a loop runs one very short request that finds all idle",
          "[worker][queue]") {
  ModelSpec spec = Batched(8);
  spec.instances = GENERATE(1, 2);
  const absl::Duration took = GENERATE(absl::Microseconds(100), absl::Microseconds(900));
  Desk desk(spec, 8);
  desk.Teach(1, took);
  desk.Push();
  const bool taken = desk.scheduler.TakeHere(desk.batch).taken;
  CHECK(taken == (spec.instances == 1 && took < absl::Microseconds(300)));
  if (!taken) return;
  desk.Finish(took);
  desk.clock.Advance(absl::Hours(1));
  desk.Push();
  desk.Push();
  CHECK_FALSE(desk.scheduler.TakeHere(desk.batch).taken);
  CHECK(desk.Take().size() == 2);
}

// A thread that takes one batch and answers it.
class Executes {
 public:
  explicit Executes(Desk& desk)
      : desk_(desk), thread_([&] {
          Batch batch;
          if (!desk_.scheduler.Take(batch)) return;
          desk_.scheduler.Done(batch, std::nullopt);
          for (Request* const request : batch.requests()) {
            request->Answer(std::vector<OutputTensor>(), {});
          }
        }) {}
  ~Executes() {
    desk_.scheduler.Close();
    thread_.join();
  }

 private:
  Desk& desk_;
  std::thread thread_;
};

TEST_CASE("Scheduler: what a loop left to executors stays theirs when it becomes short",
          "[worker][queue]") {
  Desk desk(Batched(64), 1);
  for (int i = 0; i < 20; ++i) desk.Teach(1 + 31 * (i % 2), kMs / 2 + 10 * kMs * (i % 2), 1);
  FakeRequest& stays = desk.Push();
  Request& leaves = desk.Push({}, 32);
  CHECK_FALSE(desk.scheduler.TakeHere(desk.batch).taken);
  CHECK(desk.scheduler.Remove(leaves));
  const Executes executor(desk);
  CHECK(stays.status().ok());
}

TEST_CASE("Scheduler: an executor is woken for what is long, and for what waits its time",
          "[worker][queue]") {
  ModelSpec spec = Batched(8);
  const bool delayed = GENERATE(false, true);
  if (delayed) spec.batching.delay = kMs;
  Desk desk(spec, 8);
  const Executes executor(desk);
  FakeRequest& request = desk.Push();
  Batch batch;
  CHECK_FALSE(desk.scheduler.TakeHere(batch).taken);
  // It waits by the wall's time, and asks this clock then.
  desk.clock.Advance(kMs);
  CHECK(request.status().ok());
}

TEST_CASE("Scheduler: in a hurry executors need nobody to wake them", "[worker][queue]") {
  Desk desk(Batched(8), 1);
  desk.Teach(1, kMs / 10);
  const Executes executor(desk);
  desk.scheduler.Hurry();
  CHECK(desk.Push().status().ok());
}

}  // namespace
}  // namespace torchfleet::worker
