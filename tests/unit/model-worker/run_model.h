#pragma once
// Runs a model on one request, as an executor does.

#include <vector>

#include "model-worker/execute/model.h"
#include "model-worker/queue/request.h"

namespace torchfleet::worker {

inline BatchInput Alone(const InputTensor& input) {
  if (input.absent) return {.absent = true};
  return {.shape = input.shape, .pieces = {input.bytes}};
}

inline absl::StatusOr<std::vector<OutputTensor>> RunModel(Model& model,
                                                          const std::vector<InputTensor>& inputs) {
  std::vector<BatchInput> batch;
  for (const InputTensor& input : inputs) batch.push_back(Alone(input));
  const MonotonicClock clock;
  RunStages stages(clock);
  return model.Run(batch, stages);
}

}  // namespace torchfleet::worker
