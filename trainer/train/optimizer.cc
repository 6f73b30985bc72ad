#include "trainer/train/optimizer.h"

namespace torchfleet::trainer {

std::unique_ptr<torch::optim::Optimizer> MakeOptimizer(const OptimizerSpec& spec,
                                                       std::vector<at::Tensor> parameters) {
  using Kind = OptimizerSpec::Kind;
  switch (spec.kind) {
    case Kind::kAdam:
      return std::make_unique<torch::optim::Adam>(std::move(parameters),
                                                  torch::optim::AdamOptions(spec.learning_rate)
                                                      .betas({spec.beta1, spec.beta2})
                                                      .eps(spec.epsilon)
                                                      .weight_decay(spec.weight_decay));
    case Kind::kAdamW:
      return std::make_unique<torch::optim::AdamW>(std::move(parameters),
                                                   torch::optim::AdamWOptions(spec.learning_rate)
                                                       .betas({spec.beta1, spec.beta2})
                                                       .eps(spec.epsilon)
                                                       .weight_decay(spec.weight_decay));
    case Kind::kSgd:
      break;
  }
  return std::make_unique<torch::optim::SGD>(std::move(parameters),
                                             torch::optim::SGDOptions(spec.learning_rate)
                                                 .momentum(spec.momentum)
                                                 .weight_decay(spec.weight_decay));
}

void SetLearningRate(torch::optim::Optimizer& optimizer, double rate) {
  for (auto& group : optimizer.param_groups()) group.options().set_lr(rate);
}

}  // namespace torchfleet::trainer
