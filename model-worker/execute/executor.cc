#include "model-worker/execute/executor.h"

#include <exception>
#include <new>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "model-worker/execute/cpu_pinning.h"
#include "model-worker/execute/memory_budget.h"
#include "model-worker/execute/output_check.h"
#include "model-worker/execute/reshape.h"

namespace torchfleet::worker {
namespace {

absl::Status NoMemory() {
  return absl::ResourceExhaustedError("the worker's memory does not suffice for this request");
}

}  // namespace

Executor::Executor(Scheduler& scheduler, Model& model, const ModelSpec& spec,
                   ExecutionStatistics& statistics, RunWatch& watch, const Clock& clock)
    : scheduler_(scheduler),
      model_(model),
      spec_(spec),
      statistics_(statistics),
      watch_(watch),
      clock_(clock) {}

Executor::~Executor() { Stop(); }

void Executor::Start() {
  for (int i = 0; i < spec_.instances; ++i) threads_.emplace_back([this, i] { Work(i); });
}

void Executor::Stop() {
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void Executor::Work(int instance) {
  PinToCpus(spec_.cpus, instance, spec_.instances);
  Batch batch;
  while (scheduler_.Take(batch)) Run(batch);
}

void Executor::Run(Batch& batch) {
  RunStages stages(clock_);
  Answers answers = RunGuarded(batch, stages);
  if (!answers.ok() && batch.requests().size() > 1) return RunApart(batch);
  scheduler_.Done(batch,
                  answers.ok() ? std::optional(clock_.Now() - stages.began()) : std::nullopt);
  AnswerAll(batch, std::move(answers), stages);
}

Executor::Answers Executor::RunGuarded(Batch& batch, RunStages& stages) {
  const uint64_t refusals = MemoryBudget::refusals_here();
  try {
    Answers answers = RunChecked(batch, stages);
    // Whatever the model made of it.
    if (answers.ok() || MemoryBudget::refusals_here() == refusals) return answers;
    return NoMemory();
  } catch (const std::bad_alloc&) {
    LogError("memory did not suffice for a request", {{"model", spec_.name}});
    return NoMemory();
  } catch (const std::exception& error) {
    LogError("the model failed", {{"model", spec_.name}, {"detail", error.what()}});
    return absl::InternalError("the model failed on this input");
  } catch (...) {
    LogError("the model threw what is no exception", {{"model", spec_.name}});
    return absl::InternalError("the model failed on this input");
  }
}

Executor::Answers Executor::RunChecked(Batch& batch, RunStages& stages) {
  absl::StatusOr<std::vector<OutputTensor>> outputs = absl::UnknownError("");
  {
    const RunWatch::Run run(watch_);
    outputs = model_.Run(batch.Gather(spec_), stages);
  }
  RETURN_IF_ERROR(outputs.status());
  // The model has computed, whether it said so or not.
  stages.Over();
  std::vector<std::vector<OutputTensor>> answers;
  absl::Status kept = CheckPromise(batch, *outputs);
  if (kept.ok()) kept = batch.Split(spec_, *outputs, answers);
  if (kept.ok()) return answers;
  CountMismatch(batch, kept);
  return kept;
}

absl::Status Executor::CheckPromise(const Batch& batch, std::vector<OutputTensor>& outputs) const {
  for (size_t i = 0; i < outputs.size() && i < spec_.outputs.size(); ++i) {
    const TensorSpec& promised = spec_.outputs[i];
    OutputTensor& output = outputs[i];
    if (promised.inside && Fits(*promised.inside, output.shape)) {
      output.shape = Reshaped(*promised.inside, promised.shape, output.shape);
    }
  }
  const std::optional<int64_t> rows =
      spec_.max_batch_size > 0 ? std::optional(batch.rows()) : std::nullopt;
  return CheckOutputs(spec_, rows, outputs);
}

void Executor::CountMismatch(const Batch& batch, const absl::Status& broken) {
  // A batch of several is run apart.
  if (batch.requests().size() > 1) return;
  statistics_.Mismatched();
  LogError("the model broke its configuration's promise",
           {{"model", spec_.name}, {"detail", std::string(broken.message())}});
}

void Executor::AnswerAll(const Batch& batch, Answers answers, const RunStages& stages) {
  const Instant finished = clock_.Now();
  const Instant computed = stages.computed(finished);
  if (answers.ok()) {
    statistics_.Ran(batch.rows(), batch.elements(), batch.padding(),
                    stages.gathered() - stages.began(), computed - stages.gathered(),
                    finished - computed);
  }
  const std::vector<Request*>& requests = batch.requests();
  for (size_t i = 0; i < requests.size(); ++i) {
    const RequestTimes times{WaitingLine::Queued(*requests[i]), stages.began(), stages.gathered(),
                             computed, finished};
    if (answers.ok()) {
      requests[i]->Answer(std::move((*answers)[i]), times);
    } else {
      requests[i]->Answer(answers.status(), times);
    }
  }
}

// Holds the batch's place until the last of them is over.
void Executor::RunApart(const Batch& batch) {
  statistics_.RanApart();
  struct Apart {
    Answers answers;
    RunStages stages;
    Batch batch;
  };
  std::vector<Apart> all;
  all.reserve(batch.requests().size());
  for (Request* const request : batch.requests()) {
    Apart& one = all.emplace_back(Apart{absl::UnknownError(""), RunStages(clock_), {}});
    one.batch.Add(*request);
    if (request->terms().deadline <= clock_.Now()) {
      one.answers = absl::DeadlineExceededError("the deadline passed before the model could run");
    } else {
      one.answers = RunGuarded(one.batch, one.stages);
    }
  }
  scheduler_.Done(batch, std::nullopt);
  for (Apart& one : all) AnswerAll(one.batch, std::move(one.answers), one.stages);
}

}  // namespace torchfleet::worker
