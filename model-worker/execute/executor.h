#pragma once
// The threads that run a model: each takes a request, runs it, checks what
// came out and answers.
//
// Lifecycle: threads start with construction; Stop after the queue is closed,
// it waits for what runs. Borrows queue, model, spec and clock. Thread-safe.

#include <atomic>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "model-worker/execute/model.h"
#include "model-worker/execute/model_spec.h"
#include "model-worker/queue/request_queue.h"

namespace torchfleet::worker {

class Executor {
 public:
  // `spec.instances` threads.
  Executor(RequestQueue& queue, Model& model, const ModelSpec& spec, const Clock& clock);
  ~Executor();
  void Stop();

  int running() const { return running_.load(std::memory_order_relaxed); }
  // Answers refused because the model broke its configuration's promise.
  uint64_t mismatches() const { return mismatches_.load(std::memory_order_relaxed); }

 private:
  void Work();
  absl::StatusOr<std::vector<OutputTensor>> Run(const CheckedRequest& request);

  RequestQueue& queue_;
  Model& model_;
  const ModelSpec& spec_;
  const Clock& clock_;
  std::atomic<int> running_ = 0;
  std::atomic<uint64_t> mismatches_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace torchfleet::worker
