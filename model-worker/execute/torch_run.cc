#include "model-worker/execute/torch_run.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "base/log.h"

namespace torchfleet::worker {
namespace {

bool LiesIn(const std::vector<BatchInput>& inputs, std::string_view bytes) {
  return std::any_of(inputs.begin(), inputs.end(), [&](const BatchInput& input) {
    return input.whole() && bytes.data() >= input.pieces[0].data() &&
           bytes.data() < input.pieces[0].data() + input.pieces[0].size();
  });
}

std::optional<int> ThreadCount(const ModelSpec& spec, const char* name) {
  const auto found = spec.parameters.find(name);
  if (found == spec.parameters.end()) return std::nullopt;
  return std::max(1, std::atoi(found->second.c_str()));
}

}  // namespace

bool BoolSetting(const ModelSpec& spec, const char* name, bool otherwise) {
  const auto found = spec.parameters.find(name);
  return found == spec.parameters.end() ? otherwise : found->second == "true";
}

void SetThreads(const ModelSpec& spec) {
  at::set_num_threads(ThreadCount(spec, "INTRA_OP_THREAD_COUNT").value_or(1));
  const std::optional<int> forks = ThreadCount(spec, "INTER_OP_THREAD_COUNT");
  if (!forks || at::get_num_interop_threads() == static_cast<size_t>(*forks)) return;
  try {
    at::set_num_interop_threads(*forks);
  } catch (const std::exception&) {
    LogWarning("INTER_OP_THREAD_COUNT is heeded after a restart: the threads run already",
               {{"model", spec.name}, {"threads", at::get_num_interop_threads()}});
  }
}

void PrepareRunThread() {
  thread_local const bool initialised = (at::init_num_threads(), true);
  (void)initialised;
}

absl::Status RunFailure(const ModelSpec& spec, std::string_view said) {
  LogError("the model failed", {{"model", spec.name}, {"detail", said}});
  for (const char* sign : {"can't allocate memory", "not enough memory", "std::bad_alloc"}) {
    if (said.find(sign) == std::string_view::npos) continue;
    return absl::ResourceExhaustedError("the worker's memory does not suffice for this request");
  }
  return absl::InternalError("the model failed on this input");
}

void OwnWhatInputsLent(const std::vector<BatchInput>& inputs, std::vector<OutputTensor>& outputs) {
  for (OutputTensor& output : outputs) {
    if (!LiesIn(inputs, output.bytes)) continue;
    output = OutputTensor::Own(output.type, std::move(output.shape), std::string(output.bytes));
  }
}

}  // namespace torchfleet::worker
