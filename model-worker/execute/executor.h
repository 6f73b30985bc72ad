#pragma once
// Runs batches: gathers what their requests sent, runs the model, checks what
// came out and answers each request with its part.
//
// A batch in which the model fails is run again request by request, so that only
// those fail that make it fail.
//
// Lifecycle: Start begins `spec.instances` threads that take batches from the
// scheduler; Stop after the scheduler is closed, it waits for what runs. A loop
// hands what it took itself to Run. Borrows all it is made with. Thread-safe.

#include <atomic>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "model-worker/execute/execution_statistics.h"
#include "model-worker/execute/model.h"
#include "model-worker/execute/model_spec.h"
#include "model-worker/execute/run_watch.h"
#include "model-worker/queue/scheduler.h"

namespace torchfleet::worker {

class Executor {
 public:
  Executor(Scheduler& scheduler, Model& model, const ModelSpec& spec,
           ExecutionStatistics& statistics, RunWatch& watch, const Clock& clock);
  ~Executor();
  void Start();
  void Stop();

  // On this thread. The batch is as it was taken from the scheduler; afterwards
  // its requests are answered.
  void Run(Batch& batch);

 private:
  using Outputs = absl::StatusOr<std::vector<OutputTensor>>;

  void Work(int instance);
  Outputs RunModel(const std::vector<BatchInput>& inputs, RunStages& stages);
  // Outputs that keep the configuration's promise, in the shapes of outside.
  Outputs RunChecked(Batch& batch, RunStages& stages);
  void AnswerAll(const Batch& batch, const Outputs& outputs, const RunStages& stages);
  void RunApart(const Batch& batch);

  Scheduler& scheduler_;
  Model& model_;
  const ModelSpec& spec_;
  ExecutionStatistics& statistics_;
  RunWatch& watch_;
  const Clock& clock_;
  std::vector<std::thread> threads_;
};

}  // namespace torchfleet::worker
