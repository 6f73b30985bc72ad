#include "model-worker/execute/model_spec.h"

#include <algorithm>

#include "base/status.h"

namespace torchfleet::worker {

std::string ShapeText(const std::vector<int64_t>& shape) {
  // No model has so many dimensions, but a caller may send them.
  constexpr size_t kShown = 16;
  std::string text = "[";
  for (size_t i = 0; i < shape.size() && i < kShown; ++i) {
    if (i > 0) text += ',';
    text += std::to_string(shape[i]);
  }
  if (shape.size() > kShown) text += ",…";
  return text + "]";
}

uint32_t RequestsAtOnce(const ModelSpec& spec) {
  const int64_t rows = std::max<int64_t>(1, spec.max_batch_size);
  return static_cast<uint32_t>(std::min<int64_t>(spec.instances * rows, 1 << 20));
}

bool ElementCount(const std::vector<int64_t>& shape, int64_t* count) {
  int64_t product = 1;
  bool overflow = false;
  for (const int64_t dimension : shape) {
    // A zero makes the product zero, whatever the others are.
    if (dimension == 0) {
      *count = 0;
      return true;
    }
    overflow = overflow || __builtin_mul_overflow(product, dimension, &product);
  }
  *count = product;
  return !overflow;
}

}  // namespace torchfleet::worker
