#pragma once
// Where executors leave answers for a loop: it is woken once for all that come
// until it looks. What the loop ran itself is answered at once.
//
// Put from any thread; all else on the loop's. Its destruction waits for the
// tasks that are still with an executor.

#include <condition_variable>
#include <mutex>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "model-worker/front/loop_runner.h"
#include "net/loop/loop.h"

namespace torchfleet::worker {

class InferTask;

class AnswerBox {
 public:
  AnswerBox(net::Loop& loop, LoopRunner& runner) : loop_(loop), runner_(runner) {}
  ~AnswerBox();

  // A task goes to the queue, or comes back otherwise than by Put.
  void AddOut();
  void DropOut() { --out_; }

  void Put(InferTask& task);

  net::Loop& loop() { return loop_; }

 private:
  void Deliver();

  net::Loop& loop_;
  LoopRunner& runner_;
  size_t out_ = 0;
  std::vector<InferTask*> delivering_;
  std::mutex mu_;
  std::condition_variable put_;
  std::vector<InferTask*> answered_ ABSL_GUARDED_BY(mu_);
};

}  // namespace torchfleet::worker
