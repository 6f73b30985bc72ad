// torchfleet-worker: serves one version of one PyTorch model.

#include "model-worker/execute/counted_tensors.h"
#include "model-worker/load/torch_loader.h"
#include "model-worker/worker_main.h"

int main(int argc, char** argv) {
  torchfleet::worker::PrepareTorch();
  return torchfleet::worker::RunWorker(
      argc, argv, {torchfleet::worker::LoadTorchModel, torchfleet::worker::CountTensors});
}
