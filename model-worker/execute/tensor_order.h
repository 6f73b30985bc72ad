#pragma once
// Which of a model's arguments or results each tensor of its configuration is.
// Pure.

#include <optional>
#include <string>
#include <vector>

#include "model-worker/execute/model_spec.h"

namespace torchfleet::worker {

// Each has a position for every tensor of `specs`, in their order.

// By the model's own names; nothing unless every tensor has one of them.
std::optional<std::vector<size_t>> PositionsByName(const std::vector<TensorSpec>& specs,
                                                   const std::vector<std::string>& names);
// By the indices that names end in (`x__3`); nothing unless each has another one
// of the model's `count`.
std::optional<std::vector<size_t>> PositionsByIndex(const std::vector<TensorSpec>& specs,
                                                    size_t count);
// By the indices, else as they come.
std::vector<size_t> PositionsByIndexOrOrder(const std::vector<TensorSpec>& specs, size_t count);

}  // namespace torchfleet::worker
