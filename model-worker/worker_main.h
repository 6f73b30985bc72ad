#pragma once
// The worker's process, whichever loader it has: flags, start, wait, drain.

#include "model-worker/load/model_loader.h"

namespace torchfleet::worker {

// The process's exit status: 0 after a drain, 1 when it cannot serve, 2 for a
// wrong command line.
int RunWorker(int argc, char** argv, const ModelLoader& loader);

}  // namespace torchfleet::worker
