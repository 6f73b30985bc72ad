#include "model-worker/execute/executor.h"

#include <exception>
#include <new>

#include "base/log.h"
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
  const Outputs outputs = RunChecked(batch, stages);
  if (!outputs.ok() && batch.requests().size() > 1) return RunApart(batch);
  scheduler_.Done(batch,
                  outputs.ok() ? std::optional(clock_.Now() - stages.began()) : std::nullopt);
  AnswerAll(batch, outputs, stages);
}

Executor::Outputs Executor::RunChecked(Batch& batch, RunStages& stages) {
  auto outputs = RunModel(batch.Gather(spec_), stages);
  if (!outputs.ok()) return outputs;
  for (size_t i = 0; i < outputs->size() && i < spec_.outputs.size(); ++i) {
    const TensorSpec& promised = spec_.outputs[i];
    OutputTensor& output = outputs->at(i);
    if (promised.inside && output.shape.size() == promised.inside->size()) {
      output.shape = Reshaped(*promised.inside, promised.shape, output.shape);
    }
  }
  const std::optional<int64_t> rows =
      spec_.max_batch_size > 0 ? std::optional(batch.rows()) : std::nullopt;
  const absl::Status kept = CheckOutputs(spec_, rows, *outputs);
  if (kept.ok()) return outputs;
  statistics_.Mismatched();
  LogError("the model broke its configuration's promise",
           {{"model", spec_.name}, {"detail", std::string(kept.message())}});
  return kept;
}

Executor::Outputs Executor::RunModel(const std::vector<BatchInput>& inputs, RunStages& stages) {
  const RunWatch::Run run(watch_);
  const uint64_t refusals = MemoryBudget::refusals_here();
  try {
    Outputs outputs = model_.Run(inputs, stages);
    // Whatever the model made of it.
    if (outputs.ok() || MemoryBudget::refusals_here() == refusals) return outputs;
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

void Executor::AnswerAll(const Batch& batch, const Outputs& outputs, const RunStages& stages) {
  std::vector<std::vector<OutputTensor>> answers;
  absl::Status status = outputs.status();
  const Instant computed = stages.computed(clock_.Now());
  if (status.ok()) status = batch.Split(spec_, *outputs, answers);
  const Instant finished = clock_.Now();
  if (status.ok()) {
    statistics_.Ran(batch.rows(), batch.elements(), batch.padding(),
                    stages.gathered() - stages.began(), computed - stages.gathered(),
                    finished - computed);
  }
  const std::vector<Request*>& requests = batch.requests();
  for (size_t i = 0; i < requests.size(); ++i) {
    const RequestTimes times{WaitingLine::Queued(*requests[i]), stages.began(), stages.gathered(),
                             computed, finished};
    if (status.ok()) {
      requests[i]->Answer(std::move(answers[i]), times);
    } else {
      requests[i]->Answer(status, times);
    }
  }
}

// Holds the batch's place until the last of them is over.
void Executor::RunApart(const Batch& batch) {
  statistics_.RanApart();
  struct Apart {
    Outputs outputs;
    RunStages stages;
    Batch batch;
  };
  std::vector<Apart> all;
  all.reserve(batch.requests().size());
  for (Request* const request : batch.requests()) {
    Apart& one = all.emplace_back(Apart{std::vector<OutputTensor>(), RunStages(clock_), {}});
    one.batch.Add(*request);
    if (request->terms().deadline <= clock_.Now()) {
      one.outputs = absl::DeadlineExceededError("the deadline passed before the model could run");
    } else {
      one.outputs = RunChecked(one.batch, one.stages);
    }
  }
  scheduler_.Done(batch, std::nullopt);
  for (const Apart& one : all) AnswerAll(one.batch, one.outputs, one.stages);
}

}  // namespace torchfleet::worker
