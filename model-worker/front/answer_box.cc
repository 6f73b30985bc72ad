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

void AnswerBox::Put(InferTask& task) {
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
}

}  // namespace torchfleet::worker
