// torchfleet-bench-instant-worker: the worker with a model that answers zeros at
// once, so that what is measured is the worker.

#include "model-worker/worker_main.h"

namespace torchfleet::worker {
namespace {

class InstantModel final : public Model {
 public:
  explicit InstantModel(const ModelSpec& spec) {
    for (const TensorSpec& output : spec.outputs) {
      std::vector<int64_t> shape = output.shape;
      size_t bytes = wire::ElementSize(output.type);
      for (int64_t& dimension : shape) {
        if (dimension < 0) dimension = 1;  // the batch, of one row
        bytes *= static_cast<size_t>(dimension);
      }
      outputs_.push_back(
          OutputTensor::Own(output.type, std::move(shape), std::string(bytes, '\0')));
    }
  }
  absl::StatusOr<std::vector<OutputTensor>> Run(const std::vector<BatchInput>&,
                                                RunStages&) override {
    return outputs_;
  }

 private:
  std::vector<OutputTensor> outputs_;
};

}  // namespace
}  // namespace torchfleet::worker

int main(int argc, char** argv) {
  using namespace torchfleet::worker;
  return RunWorker(argc, argv, {[](const ModelFile&, const ModelSpec& spec) {
                     return std::make_unique<InstantModel>(spec);
                   }});
}
