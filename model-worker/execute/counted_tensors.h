#pragma once
// Torch's tensors in a memory budget.

#include <memory>

#include "model-worker/execute/memory_budget.h"

namespace torchfleet::worker {

// From here on every tensor that torch makes on the CPU is counted in `budget`,
// and one that does not fit fails like one for which the machine has no memory.
// Once in a process; tensors and budget may outlive everything else.
void CountTensors(std::shared_ptr<MemoryBudget> budget);

}  // namespace torchfleet::worker
