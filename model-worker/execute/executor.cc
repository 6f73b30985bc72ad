#include "model-worker/execute/executor.h"

#include <exception>
#include <new>

#include "base/log.h"
#include "model-worker/execute/output_check.h"

namespace torchfleet::worker {

Executor::Executor(RequestQueue& queue, Model& model, const ModelSpec& spec, const Clock& clock)
    : queue_(queue), model_(model), spec_(spec), clock_(clock) {
  for (int i = 0; i < spec.instances; ++i) threads_.emplace_back([this] { Work(); });
}

Executor::~Executor() { Stop(); }

void Executor::Stop() {
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void Executor::Work() {
  while (true) {
    const RequestQueue::Entry entry = queue_.Pop();
    if (!entry.request) return;
    running_.fetch_add(1, std::memory_order_relaxed);
    const Instant started = clock_.Now();
    auto outputs = Run(entry.request->checked());
    running_.fetch_sub(1, std::memory_order_relaxed);
    entry.request->Answer(std::move(outputs), {entry.queued, started, clock_.Now()});
  }
}

absl::StatusOr<std::vector<OutputTensor>> Executor::Run(const CheckedRequest& request) {
  try {
    std::vector<BatchInput> inputs(request.inputs.size());
    for (size_t i = 0; i < inputs.size(); ++i) {
      const InputTensor& input = request.inputs[i];
      inputs[i].absent = input.absent;
      inputs[i].shape = input.shape;
      if (!input.absent) inputs[i].pieces = {input.bytes};
    }
    RunStages stages(clock_);
    auto outputs = model_.Run(inputs, stages);
    if (!outputs.ok()) return outputs;
    const absl::Status kept = CheckOutputs(spec_, request.batch, *outputs);
    if (kept.ok()) return outputs;
    mismatches_.fetch_add(1, std::memory_order_relaxed);
    LogError("the model broke its configuration's promise",
             {{"model", spec_.name}, {"detail", std::string(kept.message())}});
    return kept;
  } catch (const std::bad_alloc&) {
    LogError("memory did not suffice for a request", {{"model", spec_.name}});
    return absl::ResourceExhaustedError("the worker's memory does not suffice for this request");
  } catch (const std::exception& error) {
    LogError("the model failed", {{"model", spec_.name}, {"detail", error.what()}});
    return absl::InternalError("the model failed on this input");
  } catch (...) {
    LogError("the model threw what is no exception", {{"model", spec_.name}});
    return absl::InternalError("the model failed on this input");
  }
}

}  // namespace torchfleet::worker
