#include "model-worker/queue/scheduler.h"

#include <catch2/generators/catch_generators_range.hpp>
#include <thread>

#include "base/status.h"
#include "tests/unit/model-worker/scheduler_desk.h"

namespace torchfleet::worker {
namespace {

using Requests = std::vector<Request*>;

constexpr absl::Duration kMs = absl::Milliseconds(1);

TEST_CASE("Scheduler: what waits runs together, up to the most rows", "[worker][queue]") {
  Desk desk(Batched(8));
  Request& first = desk.Push({}, 3);
  Request& second = desk.Push({}, 3);
  Request& third = desk.Push({}, 3);
  Request& fourth = desk.Push({}, 1);
  // The fourth would fit, but does not go before the third.
  CHECK(desk.Take() == Requests{&first, &second});
  CHECK(desk.batch.rows() == 6);
  CHECK(desk.scheduler.figures().depth == 2);
  CHECK(desk.scheduler.figures().running == 1);
  desk.Finish(kMs);
  CHECK(desk.Take() == Requests{&third, &fourth});
}

TEST_CASE("Scheduler: requests of other shapes wait for another batch", "[worker][queue]") {
  Desk desk(Batched(8));
  Requests narrow, wide;
  for (int i = 0; i < 3; ++i) {
    narrow.push_back(&desk.Push({}, 1, 1));
    wide.push_back(&desk.Push({}, 1, 2));
  }
  CHECK(desk.Take() == narrow);
  desk.Finish(kMs);
  CHECK(desk.Take() == wide);
}

TEST_CASE("Scheduler: a model without a batch runs one at a time", "[worker][queue]") {
  ModelSpec spec = Batched(0);
  spec.inputs[0].shape = spec.outputs[0].shape = {-1};
  Desk desk(spec);
  Request& first = desk.Push();
  desk.Push();
  CHECK(desk.Take() == Requests{&first});
}

TEST_CASE("Scheduler: in order, nobody overtakes, and one batch runs at a time",
          "[worker][queue]") {
  ModelSpec spec = Batched(8);
  spec.line.in_order = true;
  spec.instances = 3;
  Desk desk(spec);
  Request& a = desk.Push({.caller = 1}, 1, 1);
  Request& b = desk.Push({.caller = 1}, 1, 1);
  Request& other = desk.Push({.caller = 2}, 1, 2);
  Request& c = desk.Push({.caller = 1}, 1, 1);
  CHECK(desk.Take() == Requests{&a, &b});
  Batch more;
  CHECK_FALSE(desk.scheduler.TakeHere(more).taken);
  CHECK(desk.scheduler.figures().running == 1);
  desk.Finish(kMs);
  CHECK(desk.Take() == Requests{&other});
  desk.Finish(kMs);
  CHECK(desk.Take() == Requests{&c});
}

TEST_CASE("Scheduler: the higher priority goes first, and the lower fills up", "[worker][queue]") {
  ModelSpec spec = Batched(2);
  spec.line.levels.assign(2, {});
  spec.line.priorities = true;
  spec.line.default_level = 1;
  Desk desk(spec);
  Request& low = desk.Push();
  Request& high = desk.Push({.priority = 1});
  Request& lower = desk.Push();
  CHECK(desk.Take() == Requests{&high, &low});
  desk.Finish(kMs);
  CHECK(desk.Take() == Requests{&lower});
  desk.Finish(kMs);
  desk.Teach(1, absl::Seconds(1), 10);
  // However late it is.
  const absl::Status status =
      desk.scheduler.Push(desk.Make({.deadline = desk.clock.Now() + kMs, .priority = 3}));
  CHECK(absl::IsInvalidArgument(status));
}

TEST_CASE("Scheduler: an expired request is answered and never handed out", "[worker][queue]") {
  Desk desk(Batched(8));
  FakeRequest& expires = desk.Push({.deadline = desk.clock.Now() + kMs});
  Request& stays = desk.Push();
  desk.clock.Advance(kMs);
  CHECK(desk.Take() == Requests{&stays});
  CHECK(absl::IsDeadlineExceeded(expires.status()));
  CHECK(desk.statistics.expired == 1);
  FakeRequest& late = desk.Make({.deadline = desk.clock.Now()});
  CHECK(absl::IsDeadlineExceeded(desk.scheduler.Push(late)));
  CHECK(late.answers() == 0);
}

TEST_CASE("Scheduler: full, it refuses, and first lets go what has expired", "[worker][queue]") {
  ModelSpec spec = Batched(8);
  spec.line.most = 2;
  Desk desk(spec);
  Request& stays = desk.Push();
  FakeRequest& expires = desk.Push({.deadline = desk.clock.Now() + kMs});
  FakeRequest& refused = desk.Make();
  const absl::Status status = desk.scheduler.Push(refused);
  CHECK(absl::IsUnavailable(status));
  CHECK(RetryDelay(status).has_value());
  CHECK(refused.answers() == 0);
  CHECK(desk.statistics.rejected == 1);
  desk.clock.Advance(kMs);
  Request& fresh = desk.Push();
  CHECK(absl::IsDeadlineExceeded(expires.status()));
  CHECK(desk.Take() == Requests{&stays, &fresh});
}

TEST_CASE("Scheduler: what is removed leaves at once, as cancelled or as expired",
          "[worker][queue]") {
  Desk desk(Batched(8));
  FakeRequest& gone = desk.Push();
  FakeRequest& late = desk.Push({.deadline = desk.clock.Now() + kMs});
  Request& stays = desk.Push();
  CHECK(desk.scheduler.Remove(gone));
  CHECK_FALSE(desk.scheduler.Remove(gone));
  CHECK(desk.statistics.cancelled == 1);
  desk.clock.Advance(kMs);
  CHECK(desk.scheduler.Remove(late));
  CHECK(desk.statistics.expired == 1);
  CHECK(desk.statistics.cancelled == 1);
  CHECK(desk.Take() == Requests{&stays});
  CHECK_FALSE(desk.scheduler.Remove(stays));
  CHECK(gone.answers() + late.answers() == 0);
}

TEST_CASE("Scheduler: as many batches run as there are instances", "[worker][queue]") {
  ModelSpec spec = Batched(1);
  spec.instances = 2;
  Desk desk(spec);
  for (int i = 0; i < 3; ++i) desk.Push();
  Batch second, third;
  desk.Take();
  CHECK(desk.scheduler.Take(second));
  CHECK(desk.scheduler.figures().running == 2);
  CHECK(desk.scheduler.figures().depth == 1);
  CHECK_FALSE(desk.scheduler.TakeHere(third).taken);
  desk.scheduler.Done(second, kMs);
  CHECK(desk.scheduler.Take(third));
}

TEST_CASE("Scheduler: closed, it answers what waits and takes no more", "[worker][queue]") {
  Desk desk(Batched(8));
  std::thread idle([&] {
    Batch batch;
    CHECK_FALSE(desk.scheduler.Take(batch));
  });
  ModelSpec spec = Batched(8);
  spec.batching.delay = absl::Hours(1);
  Desk other(spec);
  FakeRequest& waits = other.Push();
  for (Desk* const each : {&desk, &other}) {
    each->scheduler.Close();
    CHECK(absl::IsUnavailable(each->scheduler.Push(each->Make())));
    CHECK_FALSE(each->scheduler.Take(each->batch));
    CHECK_FALSE(each->scheduler.TakeHere(each->batch).taken);
  }
  idle.join();
  CHECK(absl::IsUnavailable(waits.status()));
  CHECK(RetryDelay(waits.status()).has_value());
}

TEST_CASE("Scheduler: what a loop runs itself follows the cores there are", "[worker][queue]") {
  Desk desk(Batched(8));
  desk.Teach(1, kMs);
  desk.scheduler.SetCores(4);
  Request& first = desk.Push();
  Request& second = desk.Push();
  CHECK_FALSE(desk.scheduler.TakeHere(desk.batch).taken);
  desk.scheduler.SetCores(1);
  REQUIRE(desk.scheduler.TakeHere(desk.batch).taken);
  CHECK(desk.batch.requests() == Requests{&first, &second});
}

TEST_CASE("Scheduler: tells a loop that an executor has the only core", "[worker][queue]") {
  Desk desk(Batched(8));
  desk.Teach(1, 10 * kMs);
  desk.Push();
  REQUIRE(desk.Take().size() == 1);
  desk.Push();
  CHECK(desk.scheduler.TakeHere(desk.batch).core_is_taken);
  desk.scheduler.SetCores(2);
  CHECK_FALSE(desk.scheduler.TakeHere(desk.batch).core_is_taken);
}

TEST_CASE("Scheduler: a batch waits for its delay, unless nothing more comes", "[worker][queue]") {
  ModelSpec spec = Batched(8);
  spec.batching.delay = 10 * kMs;
  Desk desk(spec);
  desk.Push();
  desk.clock.Advance(10 * kMs);
  desk.Take();
  desk.Finish(kMs / 10);
  for (int i = 0; i < 3; ++i) {
    desk.Push();
    desk.clock.Advance(10 * kMs);
    desk.Take();
    desk.Finish(kMs / 10);
  }
  Request& first = desk.Push();
  const Instant until = desk.clock.Now() + 10 * kMs;
  Scheduler::Turn turn = desk.scheduler.TakeHere(desk.batch);
  CHECK_FALSE(turn.taken);
  CHECK(turn.until == until);
  const bool hurry = GENERATE(false, true);
  if (hurry) {
    desk.scheduler.Hurry();
    // It is for an executor now.
    CHECK_FALSE(desk.scheduler.TakeHere(desk.batch).taken);
    CHECK(desk.Take() == Requests{&first});
  } else {
    desk.clock.Advance(9 * kMs);
    Request& second = desk.Push();
    CHECK(desk.scheduler.TakeHere(desk.batch).until == until);
    desk.clock.Advance(kMs);
    CHECK(desk.scheduler.TakeHere(desk.batch).taken);
    CHECK(desk.batch.requests() == Requests{&first, &second});
  }
}

TEST_CASE("Scheduler: a deadline in a batch cuts its delay short", "[worker][queue]") {
  ModelSpec spec = Batched(8);
  spec.batching.delay = absl::Hours(1);
  spec.batching.preferred = {4};
  Desk desk(spec);
  for (int i = 0; i < 4; ++i) {
    desk.Push({}, 4);
    desk.Take();
    desk.Finish(kMs);
  }
  const Instant deadline = desk.clock.Now() + 20 * kMs;
  desk.Push();
  desk.Push({.deadline = deadline});
  const Instant until = desk.scheduler.TakeHere(desk.batch).until;
  CHECK(until < deadline - kMs);
  CHECK(until > deadline - 10 * kMs);
}

// Lengths: a dimension in which requests of a batch differ.
TEST_CASE("Scheduler: requests of near lengths share a batch, by priority", "[worker][queue]") {
  ModelSpec spec = Batched(3);
  spec.lengths.inputs = {1};
  spec.lengths.outputs = {1};
  spec.lengths.padding = {std::string(1, '\0')};
  spec.lengths.most_padding = 0.1;
  spec.line.levels.assign(2, {});
  spec.line.priorities = true;
  spec.line.in_order = GENERATE(false, true);
  Desk desk(spec);
  Request& first = desk.Push({.priority = 1}, 1, 100);
  Request& far = desk.Push({.priority = 1}, 1, 50);
  Request& near = desk.Push({.priority = 1}, 1, 92);
  Request& nearer = desk.Push({.priority = 1}, 1, 98);
  Request& nearest = desk.Push({.priority = 2}, 1, 100);
  const auto next = [&] {
    const Requests taken = desk.Take();
    desk.Finish(kMs);
    return taken;
  };
  if (spec.line.in_order) {
    CHECK(next() == Requests{&first});
    CHECK(next() == Requests{&far});
    CHECK(next() == Requests{&near, &nearer, &nearest});
  } else {
    CHECK(next() == Requests{&first, &nearer, &near});
    CHECK(next() == Requests{&far});
    CHECK(next() == Requests{&nearest});
  }
}

}  // namespace
}  // namespace torchfleet::worker
