#include "model-worker/execute/output_check.h"

#include <fmt/format.h>

#include "base/status.h"

namespace torchfleet::worker {
namespace {

bool ShapeFits(const TensorSpec& spec, std::optional<int64_t> batch,
               const std::vector<int64_t>& shape) {
  if (shape.size() != spec.shape.size()) return false;
  for (size_t i = 0; i < shape.size(); ++i) {
    const int64_t expected = i == 0 && batch ? *batch : spec.shape[i];
    if (expected >= 0 && shape[i] != expected) return false;
  }
  return true;
}

}  // namespace

absl::Status CheckOutputs(const ModelSpec& spec, std::optional<int64_t> batch,
                          const std::vector<OutputTensor>& outputs) {
  if (outputs.size() != spec.outputs.size()) {
    return absl::InternalError(fmt::format("the model gave {} outputs; its configuration says {}",
                                           outputs.size(), spec.outputs.size()));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const TensorSpec& promised = spec.outputs[i];
    const OutputTensor& output = outputs[i];
    if (output.type != promised.type) {
      return absl::InternalError(fmt::format(
          "output '{}': the model gave {}; its configuration says {}", Clip(promised.name),
          wire::DataTypeName(output.type), wire::DataTypeName(promised.type)));
    }
    if (!ShapeFits(promised, batch, output.shape)) {
      std::vector<int64_t> expected = promised.shape;
      if (batch && !expected.empty()) expected[0] = *batch;
      return absl::InternalError(
          fmt::format("output '{}': the model gave shape {}; its configuration says {}",
                      Clip(promised.name), ShapeText(output.shape), ShapeText(expected)));
    }
  }
  return absl::OkStatus();
}

}  // namespace torchfleet::worker
