#pragma once
// What a loop does for the requests it has queued, when its turn ends: it runs
// short batches itself, and sees to it that executors run the others. For how
// long it does so in one turn is limited: in between it reads and sends.
//
// Only on its loop's thread, but for RunsHere.

#include "base/clock.h"
#include "base/snapshot.h"
#include "model-worker/batch/batch.h"
#include "model-worker/engine.h"
#include "net/loop/loop.h"

namespace torchfleet::worker {

class LoopRunner final : private net::TurnEnd {
 public:
  LoopRunner(net::Loop& loop, const Snapshot<Engine>& engine, const Clock& clock);
  ~LoopRunner();

  // There may be something to run when this turn ends.
  void Wake() { loop_.AtTurnEnd(this); }
  // Whether this thread is running a batch as this loop.
  bool RunsHere() const;

 private:
  void OnTurnEnd() override;
  // Whoever started the process may give it more or fewer.
  void CountCores(const Engine& engine);

  net::Loop& loop_;
  const Snapshot<Engine>& engine_;
  const Clock& clock_;
  net::Timer timer_;
  Instant cores_counted_;
  Batch batch_;
};

}  // namespace torchfleet::worker
