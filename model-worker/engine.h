#pragma once
// A model that is served: what its configuration says, the loaded model, where
// its requests wait and who runs them.
//
//   made ─► Load ─► loaded ─► Retire ─► ends with the last request that holds it
//
// A reload makes another engine beside the one that serves (engines.h). Lifecycle:
// Load once; Retire when another takes over. Thread-safe after Load.

#include <atomic>
#include <memory>

#include "model-worker/execute/executor.h"
#include "model-worker/load/model_loader.h"
#include "model-worker/queue/scheduler.h"

namespace torchfleet::worker {

class Engine {
 public:
  // What outlives every engine of a worker.
  struct Shared {
    QueueStatistics& queue;
    ExecutionStatistics& executions;
    RunWatch& watch;
    const Clock& clock;
  };

  Engine(RepositoryModel model, size_t queue_size, const Shared& shared);
  ~Engine();

  // Loads the model and warms it up; then its executors run. Errors of the
  // loader; FAILED_PRECONDITION when a warm-up fails, RESOURCE_EXHAUSTED when
  // memory does not suffice.
  absl::Status Load(const ModelLoader& loader);
  // Its executors run what waits; then nothing more comes.
  void Retire() const;

  const RepositoryModel& model() const { return model_; }
  const ModelSpec& spec() const { return model_.spec; }
  Scheduler& scheduler() const { return *scheduler_; }
  Executor& executor() const { return *executor_; }

 private:
  absl::Status LoadAndWarmUp(const ModelLoader& loader);
  absl::Status WarmUp();

  const RepositoryModel model_;
  const Shared shared_;
  std::unique_ptr<Scheduler> scheduler_;
  std::unique_ptr<Model> loaded_;
  std::unique_ptr<Executor> executor_;
};

}  // namespace torchfleet::worker
