#pragma once
// Reads what routing needs of an inference request from its bytes in place:
// the model's name and version and the request's id. Tensors are skipped by
// their lengths, neither decoded nor copied, so the cost does not grow with
// them.
//
// The bytes may lie in several pieces, cut anywhere. Fields may come in any
// order; of a field that comes twice the last value counts, and unknown fields
// are skipped, as Protocol Buffers has it. Nothing a length says is believed
// before it is checked against what is there.
//
// The verdict is that of a Protocol Buffers parser on the message's own level:
// tags, lengths, groups and the UTF-8 of the three texts. What is wrong inside
// a tensor or a parameter is for the worker to find, which reads them.
//
// The other requests that name a model (ModelReady, ModelMetadata, ModelConfig,
// ModelStatistics) have name and version under the same field numbers, so the
// same function reads them.

#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace torchfleet::wire {

struct InferRequestHead {
  std::string model_name;
  // Empty when the caller leaves the choice to us.
  std::string model_version;
  std::string id;
};

// INVALID_ARGUMENT for bytes that are no such message.
absl::StatusOr<InferRequestHead> ScanInferRequest(std::span<const std::string_view> pieces);

}  // namespace torchfleet::wire
