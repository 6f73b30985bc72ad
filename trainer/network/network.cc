#include "trainer/network/network.h"

#include <cmath>
#include <string>

namespace torchfleet::trainer {
namespace {

// Collects the lines of forward_logits and registers what they use.
class Writer {
 public:
  Writer() : module_("Network") {
    module_.register_attribute("training", c10::BoolType::get(), true);
  }

  void Add(const LayerSpec& layer, const std::vector<int64_t>& in) {
    using Kind = LayerSpec::Kind;
    const std::string name = "layer" + std::to_string(index_++);
    const std::string weight = "self." + name + "_weight", bias = "self." + name + "_bias";
    const auto pair = [](int64_t n) {
      return "[" + std::to_string(n) + ", " + std::to_string(n) + "]";
    };
    switch (layer.kind) {
      case Kind::kDense:
        Weights(name, {layer.units, in[0]}, in[0]);
        Line("torch.linear(x, " + weight + ", " + bias + ")");
        break;
      case Kind::kConv2d:
        Weights(name, {layer.units, in[0], layer.kernel, layer.kernel},
                in[0] * layer.kernel * layer.kernel);
        Line("torch.conv2d(x, " + weight + ", " + bias + ", " + pair(layer.stride) + ", " +
             pair(layer.padding) + ")");
        break;
      case Kind::kMaxPool2d:
        Line("torch.max_pool2d(x, " + pair(layer.kernel) + ", " + pair(layer.stride) + ")");
        break;
      case Kind::kFlatten:
        Line("torch.flatten(x, 1)");
        break;
      case Kind::kDropout:
        Line("torch.dropout(x, " + std::to_string(layer.rate) + ", self.training)");
        break;
      case Kind::kBatchNorm:
        BatchNorm(name, in[0]);
        break;
      case Kind::kRelu:
        Line("torch.relu(x)");
        break;
      case Kind::kSoftmax:
        softmax_ = true;
        break;
    }
  }

  torch::jit::Module Finish() {
    module_.define("def forward_logits(self, x):\n" + lines_ + "    return x\n");
    module_.define(std::string("def forward(self, x):\n    y = self.forward_logits(x)\n") +
                   (softmax_ ? "    return torch.softmax(y, -1)\n" : "    return y\n"));
    return module_;
  }

 private:
  void Line(const std::string& expression) { lines_ += "    x = " + expression + "\n"; }

  void Weights(const std::string& name, const std::vector<int64_t>& shape, int64_t fan_in) {
    const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
    module_.register_parameter(name + "_weight", torch::empty(shape).uniform_(-bound, bound),
                               false);
    module_.register_parameter(name + "_bias", torch::empty({shape[0]}).uniform_(-bound, bound),
                               false);
  }

  void BatchNorm(const std::string& name, int64_t features) {
    module_.register_parameter(name + "_weight", torch::ones({features}), false);
    module_.register_parameter(name + "_bias", torch::zeros({features}), false);
    module_.register_buffer(name + "_mean", torch::zeros({features}));
    module_.register_buffer(name + "_var", torch::ones({features}));
    const std::string self = "self." + name;
    Line("torch.batch_norm(x, " + self + "_weight, " + self + "_bias, " + self + "_mean, " + self +
         "_var, self.training, 0.1, 1e-05, False)");
  }

  torch::jit::Module module_;
  std::string lines_;
  int index_ = 0;
  bool softmax_ = false;
};

}  // namespace

torch::jit::Module MakeNetwork(const TrainSpec& spec,
                               const std::vector<std::vector<int64_t>>& shapes) {
  Writer writer;
  for (size_t i = 0; i < spec.layers.size(); ++i) writer.Add(spec.layers[i], shapes[i]);
  torch::jit::Module module = writer.Finish();
  for (at::Tensor parameter : module.parameters()) parameter.requires_grad_(true);
  return module;
}

}  // namespace torchfleet::trainer
