#include "model-worker/execute/output_check.h"

#include <fmt/format.h>

#include "base/status.h"
#include "model-worker/execute/reshape.h"

namespace torchfleet::worker {
namespace {

bool ShapeFits(const TensorSpec& spec, std::optional<int64_t> batch,
               const std::vector<int64_t>& shape) {
  return Fits(spec.shape, shape) && (!batch || shape.empty() || shape[0] == *batch);
}

// Whoever parts the rows relies on it. Strings are of any size.
bool BytesFit(const OutputTensor& output) {
  int64_t elements = 0;
  return output.type == wire::DataType::kBytes ||
         (ElementCount(output.shape, &elements) &&
          static_cast<size_t>(elements) * wire::ElementSize(output.type) == output.bytes.size());
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
    if (!BytesFit(output)) {
      return absl::InternalError(fmt::format(
          "output '{}': the model gave {} bytes for shape {} of {}", Clip(promised.name),
          output.bytes.size(), ShapeText(output.shape), wire::DataTypeName(output.type)));
    }
  }
  return absl::OkStatus();
}

}  // namespace torchfleet::worker
