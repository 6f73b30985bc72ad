#include "model-worker/front/answer_box.h"

#include "model-worker/front/infer_task.h"

namespace torchfleet::worker {

// A model cannot be interrupted, and its request's bytes are ours.
AnswerBox::~AnswerBox() {
  while (out_ > 0) {
    {
      std::unique_lock lock(mu_);
      put_.wait(lock, [&] { return !answered_.empty(); });
    }
    Deliver();
  }
}

void AnswerBox::AddOut() {
  ++out_;
  runner_.Wake();
}

void AnswerBox::Put(InferTask& task) {
  if (runner_.RunsHere()) {
    --out_;
    return task.Deliver();
  }
  const std::lock_guard lock(mu_);
  answered_.push_back(&task);
  if (answered_.size() > 1) return;  // the first has woken the loop
  loop_.Post([this] { Deliver(); });
  put_.notify_one();
}

void AnswerBox::Deliver() {
  {
    const std::lock_guard lock(mu_);
    delivering_.swap(answered_);
  }
  out_ -= delivering_.size();
  for (InferTask* const task : delivering_) task->Deliver();
  delivering_.clear();
  // What waits may be for this loop to run, now that an executor is free.
  runner_.Wake();
}

}  // namespace torchfleet::worker
