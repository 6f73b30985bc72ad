#include "model-worker/front/loop_runner.h"

#include "model-worker/execute/cpu_pinning.h"

namespace torchfleet::worker {
namespace {

constexpr absl::Duration kMostInATurn = absl::Microseconds(500);
// Between turns while an executor has the only core; a batch of its takes longer
// than that, or the loop would run it itself.
constexpr absl::Duration kRest = absl::Milliseconds(1);

constexpr absl::Duration kCountCoresEvery = absl::Seconds(1);

// The runner whose batch this thread runs.
thread_local const LoopRunner* running_here = nullptr;

}  // namespace

LoopRunner::LoopRunner(net::Loop& loop, const Snapshot<Engine>& engine, const Clock& clock)
    : loop_(loop), engine_(engine), clock_(clock), timer_(loop, [this] { Wake(); }) {}

LoopRunner::~LoopRunner() { loop_.ForgetTurnEnd(this); }

bool LoopRunner::RunsHere() const { return running_here == this; }

void LoopRunner::CountCores(const Engine& engine) {
  if (loop_.now() - cores_counted_ < kCountCoresEvery) return;
  cores_counted_ = loop_.now();
  engine.scheduler().SetCores(UsableCpus());
}

void LoopRunner::OnTurnEnd() {
  const std::shared_ptr<const Engine> engine = engine_.Get();
  CountCores(*engine);
  const Instant limit = clock_.Now() + kMostInATurn;
  timer_.Stop();
  loop_.SetRest(absl::ZeroDuration());
  while (true) {
    const Scheduler::Turn turn = engine->scheduler().TakeHere(batch_);
    if (!turn.taken) {
      if (turn.core_is_taken) loop_.SetRest(kRest);
      if (turn.until != Instant::Infinite()) timer_.Start(turn.until - loop_.now());
      return;
    }
    running_here = this;
    engine->executor().Run(batch_);
    running_here = nullptr;
    if (clock_.Now() >= limit) return timer_.Start(absl::ZeroDuration());
  }
}

}  // namespace torchfleet::worker
