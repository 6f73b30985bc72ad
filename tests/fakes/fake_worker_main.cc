// torchfleet-fake-worker: the worker with fake models, for tests without torch.

#include "model-worker/worker_main.h"
#include "tests/fakes/fake_model.h"

int main(int argc, char** argv) {
  return torchfleet::worker::RunWorker(argc, argv, {torchfleet::worker::LoadFakeModel});
}
