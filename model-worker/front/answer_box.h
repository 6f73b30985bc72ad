#pragma once
// Where executors leave answers for a loop: it is woken once for all that come
// until it looks.
//
// Put from any thread; all else on the loop's. Its destruction waits for the
// tasks that are still with an executor.

#include <condition_variable>
#include <mutex>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "net/loop/loop.h"

namespace torchfleet::worker {

class InferTask;

class AnswerBox {
 public:
  explicit AnswerBox(net::Loop& loop) : loop_(loop) {}
  ~AnswerBox();

  // A task goes to the queue, or comes back otherwise than by Put.
  void AddOut() { ++out_; }
  void DropOut() { --out_; }

  void Put(InferTask& task);

 private:
  void Deliver();

  net::Loop& loop_;
  size_t out_ = 0;
  std::vector<InferTask*> delivering_;
  std::mutex mu_;
  std::condition_variable put_;
  std::vector<InferTask*> answered_ ABSL_GUARDED_BY(mu_);
};

}  // namespace torchfleet::worker
