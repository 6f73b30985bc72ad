#include "model-worker/queue/request_queue.h"

#include <catch2/catch_test_macros.hpp>
#include <random>
#include <set>
#include <thread>

#include "base/status.h"
#include "tests/unit/model-worker/fake_request.h"

namespace torchfleet::worker {
namespace {

std::shared_ptr<FakeRequest> Waiting(RequestQueue& queue, Instant deadline = Instant::Infinite()) {
  auto request = std::make_shared<FakeRequest>(deadline);
  REQUIRE(queue.Push(*request).ok());
  return request;
}

TEST_CASE("RequestQueue: first come, first served", "[worker][queue]") {
  ManualClock clock;
  RequestQueue queue(8, clock);
  const auto first = Waiting(queue);
  const Instant queued = clock.Now();
  clock.Advance(absl::Seconds(1));
  const auto second = Waiting(queue);
  const auto entry = queue.Pop();
  CHECK(entry.request == first.get());
  CHECK(entry.queued == queued);
  CHECK(queue.Pop().request == second.get());
  CHECK(first->answers() == 0);
}

TEST_CASE("RequestQueue: full, it refuses with the time to try again", "[worker][queue]") {
  ManualClock clock;
  RequestQueue queue(2, clock);
  const auto a = Waiting(queue), b = Waiting(queue);
  const auto c = std::make_shared<FakeRequest>();
  const absl::Status status = queue.Push(*c);
  CHECK(absl::IsUnavailable(status));
  CHECK(RetryDelay(status).has_value());
  CHECK(c->answers() == 0);
  CHECK(queue.figures().rejected == 1);
  CHECK(queue.figures().depth == 2);
}

TEST_CASE("RequestQueue: full, it first lets go what has expired", "[worker][queue]") {
  ManualClock clock;
  RequestQueue queue(3, clock);
  const auto stays = Waiting(queue);
  const auto expires = Waiting(queue, clock.Now() + absl::Seconds(1));
  const auto later = Waiting(queue, clock.Now() + absl::Seconds(9));
  clock.Advance(absl::Seconds(2));
  const auto fresh = Waiting(queue);
  CHECK(absl::IsDeadlineExceeded(expires->status()));
  CHECK(queue.figures().expired == 1);
  CHECK(queue.Pop().request == stays.get());
  CHECK(queue.Pop().request == later.get());
  CHECK(queue.Pop().request == fresh.get());
}

TEST_CASE("RequestQueue: an expired request is answered and never handed out", "[worker][queue]") {
  ManualClock clock;
  RequestQueue queue(8, clock);
  const auto expires = Waiting(queue, clock.Now() + absl::Seconds(1));
  const auto stays = Waiting(queue);
  clock.Advance(absl::Seconds(1));
  CHECK(queue.Pop().request == stays.get());
  CHECK(absl::IsDeadlineExceeded(expires->status()));
  CHECK(queue.figures().expired == 1);
  const auto late = std::make_shared<FakeRequest>(clock.Now());
  CHECK(absl::IsDeadlineExceeded(queue.Push(*late)));
  CHECK(late->answers() == 0);
}

TEST_CASE("RequestQueue: a request that is removed late has expired", "[worker][queue]") {
  ManualClock clock;
  RequestQueue queue(2, clock);
  const auto late = Waiting(queue, clock.Now() + absl::Seconds(1));
  clock.Advance(absl::Seconds(1));
  CHECK(queue.Remove(late.get()));
  CHECK(queue.figures().expired == 1);
  CHECK(queue.figures().cancelled == 0);
}

TEST_CASE("RequestQueue: a cancelled request leaves at once", "[worker][queue]") {
  ManualClock clock;
  RequestQueue queue(2, clock);
  const auto gone = Waiting(queue), stays = Waiting(queue);
  CHECK(queue.Remove(gone.get()));
  CHECK_FALSE(queue.Remove(gone.get()));
  CHECK(queue.figures().depth == 1);
  CHECK(queue.figures().cancelled == 1);
  CHECK(queue.Pop().request == stays.get());
  CHECK_FALSE(queue.Remove(stays.get()));
  CHECK(gone->answers() == 0);
}

TEST_CASE("RequestQueue: closed, it answers what waits and wakes who waits", "[worker][queue]") {
  ManualClock clock;
  RequestQueue queue(2, clock);
  std::thread idle([&] {
    while (queue.Pop().request) {
    }
  });
  queue.Close();
  idle.join();
  CHECK(absl::IsUnavailable(queue.Push(*std::make_shared<FakeRequest>())));

  RequestQueue other(2, clock);
  const auto waits = Waiting(other);
  other.Close();
  CHECK(absl::IsUnavailable(waits->status()));
  CHECK(other.Pop().request == nullptr);
}

// What happens to a request, told apart from what the queue did.
struct Fate {
  std::shared_ptr<FakeRequest> request;
  bool refused = false, removed = false, run = false;
};

void CheckFates(const std::vector<Fate>& fates) {
  for (const Fate& fate : fates) {
    const int ends = fate.request->answers() + (fate.refused ? 1 : 0) + (fate.removed ? 1 : 0);
    REQUIRE(ends == 1);
    REQUIRE_FALSE((fate.run && (fate.refused || fate.removed)));
  }
}

TEST_CASE("RequestQueue: whatever happens, each request ends once and none runs late",
          "[worker][queue]") {
  for (uint32_t seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    ManualClock clock;
    RequestQueue queue(1 + random() % 8, clock);
    std::vector<Fate> fates;
    for (int step = 0; step < 200; ++step) {
      switch (random() % 4) {
        case 0:
        case 1: {
          const bool limited = random() % 2 == 0;
          Fate fate{std::make_shared<FakeRequest>(
              limited ? clock.Now() + absl::Milliseconds(random() % 5) : Instant::Infinite())};
          fate.refused = !queue.Push(*fate.request).ok();
          fates.push_back(fate);
          break;
        }
        case 2: {
          clock.Advance(absl::Milliseconds(random() % 3));
          if (fates.empty()) break;
          Fate& fate = fates[random() % fates.size()];
          if (queue.Remove(fate.request.get())) fate.removed = true;
          break;
        }
        case 3: {
          // A request without a deadline makes Pop return.
          Fate last{std::make_shared<FakeRequest>()};
          last.refused = !queue.Push(*last.request).ok();
          fates.push_back(last);
          const auto entry =
              queue.figures().depth > 0 && !last.refused ? queue.Pop() : RequestQueue::Entry{};
          if (!entry.request) break;
          REQUIRE(entry.request->deadline() > clock.Now());
          for (Fate& fate : fates) {
            if (fate.request.get() == entry.request) fate.run = true;
          }
          entry.request->Answer(std::vector<OutputTensor>{}, {});
          break;
        }
      }
    }
    queue.Close();
    CheckFates(fates);
  }
}

TEST_CASE("RequestQueue: threads that push, cancel and run lose nothing", "[worker][queue]") {
  ManualClock clock;
  RequestQueue queue(16, clock);
  std::vector<std::thread> executors;
  for (int i = 0; i < 2; ++i) {
    executors.emplace_back([&] {
      while (Request* const entry = queue.Pop().request)
        entry->Answer(std::vector<OutputTensor>{}, {});
    });
  }
  std::vector<std::vector<Fate>> fates(3);
  std::vector<std::thread> callers;
  for (size_t i = 0; i < fates.size(); ++i) {
    callers.emplace_back([&, i] {
      std::mt19937 random(static_cast<uint32_t>(i));
      for (int call = 0; call < 2000; ++call) {
        clock.Advance(absl::Microseconds(1));
        Fate fate{std::make_shared<FakeRequest>(clock.Now() + absl::Microseconds(random() % 20))};
        fate.refused = !queue.Push(*fate.request).ok();
        if (random() % 3 == 0) fate.removed = queue.Remove(fate.request.get());
        fates[i].push_back(fate);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  queue.Close();
  for (std::thread& executor : executors) executor.join();
  for (const auto& caller : fates) CheckFates(caller);
}

}  // namespace
}  // namespace torchfleet::worker
