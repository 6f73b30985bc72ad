#pragma once
// The worker's process, whatever runs its models: flags, start, wait, drain.

#include <functional>
#include <memory>

#include "model-worker/execute/memory_budget.h"
#include "model-worker/load/model_loader.h"

namespace torchfleet::worker {

// What runs the models.
struct ModelRuntime {
  ModelLoader loader;
  // From here on what it makes is counted. Empty: nothing is.
  std::function<void(std::shared_ptr<MemoryBudget>)> count_memory = nullptr;
};

// The exit status of a worker whose model does not come back: whoever started it
// starts another.
inline constexpr int kExitStuck = 70;

// The process's exit status: 0 after a drain, 1 when it cannot serve, 2 for a
// wrong command line, kExitStuck.
int RunWorker(int argc, char** argv, const ModelRuntime& runtime);

}  // namespace torchfleet::worker
