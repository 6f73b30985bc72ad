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
  // The outputs of each request of a batch.
  using Answers = absl::StatusOr<std::vector<std::vector<OutputTensor>>>;

  void Work(int instance);
  // Whatever the model throws, and whatever memory is missing on the way, is an
  // error.
  Answers RunGuarded(Batch& batch, RunStages& stages);
  Answers RunChecked(Batch& batch, RunStages& stages);
  // Gives outputs the shapes of outside; an error where they do not keep the
  // configuration's promise.
  absl::Status CheckPromise(const Batch& batch, std::vector<OutputTensor>& outputs) const;
  // That the promise was broken is counted by the answers.
  void CountMismatch(const Batch& batch, const absl::Status& broken);
  void AnswerAll(const Batch& batch, Answers answers, const RunStages& stages);
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
