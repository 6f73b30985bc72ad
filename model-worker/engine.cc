#include "model-worker/engine.h"

#include <exception>
#include <new>

#include "base/log.h"
#include "base/status.h"
#include "model-worker/execute/cpu_pinning.h"
#include "model-worker/execute/memory_budget.h"
#include "model-worker/load/warm_up.h"

namespace torchfleet::worker {
namespace {

RepositoryModel WithQueue(RepositoryModel model, size_t queue_size) {
  model.spec.line.most = queue_size;
  return model;
}

absl::Status TooLarge() {
  return absl::ResourceExhaustedError("the worker's memory does not suffice for this model");
}

}  // namespace

Engine::Engine(RepositoryModel model, size_t queue_size, const Shared& shared)
    : model_(WithQueue(std::move(model), queue_size)),
      shared_(shared),
      scheduler_(std::make_unique<Scheduler>(spec(), UsableCpus(), shared.queue, shared.clock)) {}

Engine::~Engine() {
  scheduler_->Close();
  if (executor_) executor_->Stop();
}

absl::Status Engine::Load(const ModelLoader& loader) {
  const uint64_t refusals = MemoryBudget::refusals_here();
  absl::Status status;
  try {
    status = LoadAndWarmUp(loader);
  } catch (const std::bad_alloc&) {
    status = TooLarge();
  } catch (const std::exception& error) {
    LogError("the model failed as it was loaded",
             {{"model", spec().name}, {"detail", error.what()}});
    status = absl::FailedPreconditionError("the model failed as it was loaded");
  }
  // Whatever the loader made of it.
  if (!status.ok() && MemoryBudget::refusals_here() != refusals) status = TooLarge();
  return status;
}

absl::Status Engine::LoadAndWarmUp(const ModelLoader& loader) {
  ASSIGN_OR_RETURN(loaded_, LoadModel(model_, loader));
  RETURN_IF_ERROR(WarmUp());
  executor_ = std::make_unique<Executor>(*scheduler_, *loaded_, spec(), shared_.executions,
                                         shared_.watch, shared_.clock);
  executor_->Start();
  return absl::OkStatus();
}

absl::Status Engine::WarmUp() {
  ASSIGN_OR_RETURN(const std::vector<WarmUpRun> runs,
                   WarmUpRuns(model_.config, spec(), model_.version.folder.parent_path()));
  for (const WarmUpRun& run : runs) {
    const Instant began = shared_.clock.Now();
    RETURN_IF_ERROR(worker::WarmUp(*loaded_, run, shared_.clock));
    LogInfo("the model is warmed up",
            {{"model", spec().name},
             {"request", run.name},
             {"runs", run.count},
             {"took", absl::FormatDuration(shared_.clock.Now() - began)}});
  }
  return absl::OkStatus();
}

void Engine::Retire() const { scheduler_->Hurry(); }

}  // namespace torchfleet::worker
