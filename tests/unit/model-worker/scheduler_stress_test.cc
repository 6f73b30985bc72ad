// Threads that push, cancel, run and wait, as loops and executors do.

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <deque>
#include <random>
#include <thread>

#include "model-worker/queue/scheduler.h"
#include "tests/unit/model-worker/scheduler_desk.h"

namespace torchfleet::worker {
namespace {

class Loop;

class LoopRequest final : public Request {
 public:
  LoopRequest(Loop& loop, RequestTerms terms, CheckedRequest checked)
      : loop_(loop), terms_(terms), checked_(std::move(checked)) {}

  const CheckedRequest& checked() const override { return checked_; }
  const RequestTerms& terms() const override { return terms_; }
  void Answer(absl::StatusOr<std::vector<OutputTensor>> outputs, const RequestTimes&) override;

  // How it ended, each at most once: answered, or refused, or removed.
  std::atomic<int> answers = 0;
  bool refused = false, removed = false;
  std::atomic<bool> ran = false;

 private:
  Loop& loop_;
  const RequestTerms terms_;
  const CheckedRequest checked_;
};

void RunBatch(Scheduler& scheduler, const Batch& batch, int64_t most, std::atomic<int>& wrong) {
  const auto& requests = batch.requests();
  if (requests.empty() || (requests.size() > 1 && batch.rows() > most)) ++wrong;
  for (Request* const request : requests) {
    if (request->checked().inputs[0].shape[1] != requests[0]->checked().inputs[0].shape[1]) ++wrong;
    static_cast<LoopRequest*>(request)->ran = true;
  }
  // Now and then a batch fails.
  const bool failed = requests.size() % 5 == 4;
  scheduler.Done(batch, failed ? std::nullopt : std::optional(absl::Microseconds(20)));
  // Nobody touches a request when it is answered, and its loop may end at once.
  const std::vector<Request*> all = requests;
  for (Request* const request : all) request->Answer(std::vector<OutputTensor>(), {});
}

// A thread that pushes and takes as a net loop does: after its pushes it asks
// what there is to run, and again when an answer comes or when it was told to.
class Loop {
 public:
  Loop(Scheduler& scheduler, const Clock& clock, int64_t most, uint32_t seed,
       std::atomic<int>& wrong)
      : scheduler_(scheduler), clock_(clock), most_(most), random_(seed), wrong_(wrong) {}

  void Run(int turns) {
    for (int turn = 0; turn < turns; ++turn) {
      const size_t pushes = random_() % 6;
      for (size_t i = 0; i < pushes; ++i) Push();
      if (random_() % 4 == 0) Cancel();
      EndTurn();
      if (random_() % 3 == 0) Wait();
    }
    while (outstanding() > 0 && !lost_) Wait();
  }
  void Answered() {
    const std::lock_guard lock(mu_);
    ++answered_;
    woken_ = true;
    changed_.notify_all();
  }
  void Check() const {
    CHECK_FALSE(lost_);
    int bad = 0;
    for (const LoopRequest& request : requests_) {
      const int ends = request.answers + (request.refused ? 1 : 0) + (request.removed ? 1 : 0);
      if (ends != 1 || (request.ran && (request.refused || request.removed))) ++bad;
    }
    CHECK(bad == 0);
  }

 private:
  void Push() {
    RequestTerms terms;
    terms.caller = random_() % 3;
    terms.priority = random_() % 3;
    if (random_() % 3 == 0) terms.deadline = clock_.Now() + absl::Microseconds(random_() % 3000);
    CheckedRequest checked;
    const int64_t rows = random_() % 4;
    checked.batch = rows;
    checked.inputs = {{{rows, 1 + static_cast<int64_t>(random_() % 2)}, {}, false}};
    LoopRequest& request = requests_.emplace_back(*this, terms, std::move(checked));
    request.refused = !scheduler_.Push(request).ok();
    if (!request.refused) ++pushed_;
  }
  void Cancel() {
    if (requests_.empty()) return;
    // One of the last, as those are in there still.
    const size_t back = random_() % std::min<size_t>(requests_.size(), 12);
    LoopRequest& request = requests_[requests_.size() - 1 - back];
    if (request.refused || request.removed || !scheduler_.Remove(request)) return;
    request.removed = true;
    --pushed_;
  }
  void EndTurn() {
    Scheduler::Turn turn;
    while ((turn = scheduler_.TakeHere(batch_)).taken) RunBatch(scheduler_, batch_, most_, wrong_);
    until_ = turn.until;
  }
  // Until it is woken, or has to ask again.
  void Wait() {
    {
      std::unique_lock lock(mu_);
      const absl::Duration limit = std::min(until_ - clock_.Now(), absl::Seconds(30));
      const bool woken = changed_.wait_for(lock, absl::ToChronoNanoseconds(limit),
                                           [&] { return woken_ || answered_ == pushed_; });
      lost_ = lost_ || (!woken && until_ == Instant::Infinite());
      woken_ = false;
    }
    EndTurn();
  }
  size_t outstanding() const {
    const std::lock_guard lock(mu_);
    return pushed_ - answered_;
  }

  Scheduler& scheduler_;
  const Clock& clock_;
  const int64_t most_;
  std::mt19937 random_;
  std::atomic<int>& wrong_;
  std::deque<LoopRequest> requests_;
  Batch batch_;
  Instant until_ = Instant::Infinite();
  // Pushed and not removed.
  size_t pushed_ = 0;
  bool lost_ = false;
  mutable std::mutex mu_;
  std::condition_variable changed_;
  size_t answered_ = 0;
  bool woken_ = false;
};

void LoopRequest::Answer(absl::StatusOr<std::vector<OutputTensor>>, const RequestTimes&) {
  ++answers;
  loop_.Answered();
}

TEST_CASE("Scheduler: loops and executors lose no request, whoever runs it", "[worker][queue]") {
  const int cores = GENERATE(1, 8);
  const int instances = GENERATE(1, 3);
  const bool in_order = GENERATE(false, true), delayed = GENERATE(false, true);
  CAPTURE(cores, instances, in_order, delayed);
  ModelSpec spec = Batched(8);
  spec.instances = instances;
  spec.line.in_order = in_order;
  spec.line.most = 64;
  spec.line.levels.assign(2, {.timeout = absl::Milliseconds(5)});
  spec.line.levels[1].overdue = LevelRules::Overdue::kDelay;
  spec.line.priorities = true;
  if (delayed) {
    spec.batching.delay = absl::Microseconds(200);
    spec.batching.preferred = {4};
  }
  const MonotonicClock clock;
  QueueStatistics statistics;
  Scheduler scheduler(spec, cores, statistics, clock);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> executors;
  for (int i = 0; i < instances; ++i) {
    executors.emplace_back([&] {
      Batch batch;
      while (scheduler.Take(batch)) RunBatch(scheduler, batch, 8, wrong);
    });
  }
  std::deque<Loop> loops;
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < 2; ++i) {
    Loop& loop = loops.emplace_back(scheduler, clock, 8, i + 1, wrong);
    threads.emplace_back([&] { loop.Run(400); });
  }
  for (std::thread& thread : threads) thread.join();
  const Scheduler::Figures left = scheduler.figures();
  CHECK(left.depth == 0);
  scheduler.Close();
  for (std::thread& executor : executors) executor.join();
  CHECK(scheduler.figures().running == 0);
  CHECK(wrong == 0);
  for (const Loop& loop : loops) loop.Check();
}

TEST_CASE("Scheduler: closed under way, each request ends once", "[worker][queue]") {
  const bool hurry = GENERATE(false, true);
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const MonotonicClock clock;
    QueueStatistics statistics;
    ModelSpec spec = Batched(8);
    spec.instances = 2;
    Scheduler scheduler(spec, 8, statistics, clock);
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&] {
        Batch batch;
        while (scheduler.Take(batch)) RunBatch(scheduler, batch, 8, wrong);
      });
    }
    Loop loop(scheduler, clock, 8, seed, wrong);
    threads.emplace_back([&] { loop.Run(50); });
    if (hurry) scheduler.Hurry();
    std::this_thread::yield();
    scheduler.Close();
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
    loop.Check();
  }
}

}  // namespace
}  // namespace torchfleet::worker
