#pragma once
// What every model that torch runs has in common. Names no torch type.

#include <string_view>
#include <vector>

#include "model-worker/execute/model.h"
#include "model-worker/execute/model_spec.h"

namespace torchfleet::worker {

// "true" or not, by the parameters of config.pbtxt.
bool BoolSetting(const ModelSpec& spec, const char* name, bool otherwise);

// As many threads inside an operator as INTRA_OP_THREAD_COUNT says; one by itself:
// more executors beat more threads inside one on small models. And as many for what
// a model forks as INTER_OP_THREAD_COUNT says; these cannot be more or fewer later.
// Of the whole process.
void SetThreads(const ModelSpec& spec);
// On each thread, before it runs a model.
void PrepareRunThread();

// For the caller; what torch said goes to the log. RESOURCE_EXHAUSTED when
// memory did not suffice, else INTERNAL.
absl::Status RunFailure(const ModelSpec& spec, std::string_view said);

// Copies outputs that are an input's own memory, which is gone before the answer.
void OwnWhatInputsLent(const std::vector<BatchInput>& inputs, std::vector<OutputTensor>& outputs);

}  // namespace torchfleet::worker
