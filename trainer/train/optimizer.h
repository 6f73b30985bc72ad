#pragma once
// The spec's optimizer as LibTorch's. For files that see torch.

#include <torch/torch.h>

#include <memory>
#include <vector>

#include "trainer/spec/train_spec.h"

namespace torchfleet::trainer {

std::unique_ptr<torch::optim::Optimizer> MakeOptimizer(const OptimizerSpec& spec,
                                                       std::vector<at::Tensor> parameters);

void SetLearningRate(torch::optim::Optimizer& optimizer, double rate);

}  // namespace torchfleet::trainer
