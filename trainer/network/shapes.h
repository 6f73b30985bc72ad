#pragma once
// What shape a record has after each layer. Pure.

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/spec/train_spec.h"

namespace torchfleet::trainer {

// The shapes before each layer and, last, after all, without the batch.
// INVALID_ARGUMENT that names the layer, its input and what it needs; also when
// softmax is not last, or the output is no vector.
absl::StatusOr<std::vector<std::vector<int64_t>>> InferShapes(const TrainSpec& spec);

// Values of one record of that shape.
int64_t ValueCount(const std::vector<int64_t>& shape);

}  // namespace torchfleet::trainer
