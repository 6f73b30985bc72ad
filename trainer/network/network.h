#pragma once
// A spec's network as a TorchScript module, put together here. For files that
// see torch.

#include <torch/script.h>

#include <vector>

#include "trainer/spec/train_spec.h"

namespace torchfleet::trainer {

// `shapes` as InferShapes gave them. Weights as PyTorch's own layers begin
// (uniform within 1/√fan_in), from torch's default generator: seed it before.
//
// forward_logits(x) is the network without a last softmax: what the loss sees.
// forward(x) is what the published model answers. x: [batch] + input_shape.
torch::jit::Module MakeNetwork(const TrainSpec& spec,
                               const std::vector<std::vector<int64_t>>& shapes);

}  // namespace torchfleet::trainer
