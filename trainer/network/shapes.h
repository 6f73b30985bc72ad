#pragma once
// What shape a record has after each layer. Pure.

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/spec/train_spec.h"

namespace torchfleet::trainer {

// The shapes before each layer and, last, after all, without the batch.
// INVALID_ARGUMENT that names the layer, its input and what it needs; also when
// softmax is not last, the output is no vector, or a record grows beyond
// 2^40 values.
absl::StatusOr<std::vector<std::vector<int64_t>>> InferShapes(const TrainSpec& spec);

// Whether batch_norm can measure a variance in every batch of so many training
// records: INVALID_ARGUMENT, naming layer and sizes, when it gets one value.
// `shapes` as InferShapes gave them.
absl::Status CheckBatches(const TrainSpec& spec, const std::vector<std::vector<int64_t>>& shapes,
                          size_t records);

// Values of one record of that shape.
int64_t ValueCount(const std::vector<int64_t>& shape);

}  // namespace torchfleet::trainer
