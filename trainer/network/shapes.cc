#include "trainer/network/shapes.h"

#include <fmt/format.h>

#include "base/status.h"

namespace torchfleet::trainer {
namespace {

using Shape = std::vector<int64_t>;

std::string Text(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

bool IsTooLarge(const Shape& shape) {
  int64_t count = 1;
  for (const int64_t size : shape) {
    if (__builtin_mul_overflow(count, size, &count)) return true;
  }
  return count > int64_t{1} << 40;
}

int64_t Slid(int64_t size, const LayerSpec& layer) {
  const int64_t room = size + 2 * layer.padding - layer.kernel;
  return room < 0 ? 0 : room / layer.stride + 1;
}

absl::StatusOr<Shape> After(const LayerSpec& layer, const Shape& in, const std::string& where) {
  using Kind = LayerSpec::Kind;
  const auto wrong = [&](const std::string& need) {
    return absl::InvalidArgumentError(
        fmt::format("{} gets records of shape {}; {}", where, Text(in), need));
  };
  switch (layer.kind) {
    case Kind::kDense: {
      if (in.size() != 1) return wrong("dense takes one dimension: put flatten before it");
      return Shape{layer.units};
    }
    case Kind::kConv2d:
    case Kind::kMaxPool2d: {
      if (in.size() != 3) return wrong("it takes [channels, height, width]");
      const Shape out = {layer.kind == Kind::kConv2d ? layer.units : in[0], Slid(in[1], layer),
                         Slid(in[2], layer)};
      if (out[1] < 1 || out[2] < 1) return wrong(fmt::format("kernel {} is larger", layer.kernel));
      return out;
    }
    case Kind::kFlatten:
      return Shape{ValueCount(in)};
    case Kind::kBatchNorm:
      if (in.size() != 1 && in.size() != 3) {
        return wrong("batch_norm takes [features] or [channels, height, width]");
      }
      return in;
    case Kind::kDropout:
    case Kind::kRelu:
    case Kind::kSoftmax:
      return in;
  }
  return in;
}

}  // namespace

int64_t ValueCount(const Shape& shape) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return count;
}

absl::StatusOr<std::vector<Shape>> InferShapes(const TrainSpec& spec) {
  std::vector<Shape> shapes = {spec.input_shape};
  if (IsTooLarge(spec.input_shape)) {
    return absl::InvalidArgumentError(
        fmt::format("input_shape is {}; expected at most 2^40 values", Text(spec.input_shape)));
  }
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const std::string where = fmt::format("layers[{}]", i);
    if (spec.layers[i].kind == LayerSpec::Kind::kSoftmax && i + 1 < spec.layers.size()) {
      return absl::InvalidArgumentError(where + " is softmax; it can only be the last layer");
    }
    ASSIGN_OR_RETURN(Shape after, After(spec.layers[i], shapes.back(), where));
    if (IsTooLarge(after)) {
      return absl::InvalidArgumentError(fmt::format(
          "{} gives records of shape {}; expected at most 2^40 values", where, Text(after)));
    }
    shapes.push_back(std::move(after));
  }
  if (shapes.back().size() != 1) {
    return absl::InvalidArgumentError(
        fmt::format("the network gives records of shape {}; expected one dimension: end it with "
                    "flatten or dense",
                    Text(shapes.back())));
  }
  if (spec.loss == LossKind::kSparseCrossEntropy && shapes.back()[0] < 2) {
    return absl::InvalidArgumentError(
        "the network gives one value; cross-entropy needs a value for each of two or more classes");
  }
  return shapes;
}

absl::Status CheckBatches(const TrainSpec& spec, const std::vector<Shape>& shapes, size_t records) {
  const size_t left = records % spec.batch_size;
  if (left != 1 && spec.batch_size != 1) return absl::OkStatus();
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const Shape& in = shapes[i];
    const bool one_value = in.size() == 1 || (in.size() == 3 && in[1] * in[2] == 1);
    if (spec.layers[i].kind != LayerSpec::Kind::kBatchNorm || !one_value) continue;
    return absl::InvalidArgumentError(fmt::format(
        "layers[{}] is batch_norm, which needs two or more records in a batch; {} records in "
        "batches of {} leave one alone: choose another batch_size",
        i, records, spec.batch_size));
  }
  return absl::OkStatus();
}

}  // namespace torchfleet::trainer
