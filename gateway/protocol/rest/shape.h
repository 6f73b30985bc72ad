#pragma once
// Tensors' shapes: how many elements they have, and their text in errors.
//
// Pure functions; thread-safe.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace torchfleet::gateway::rest {

// Dimensions, and arrays in one another.
inline constexpr size_t kMaxRank = 64;

using Shape = std::vector<int64_t>;

// Elements of the shape. INVALID_ARGUMENT for a negative dimension and for a
// product over int64, naming the input.
absl::StatusOr<int64_t> ElementCount(std::span<const int64_t> shape, std::string_view name);

// `declared`, which has -1 where any size goes, as `came` bytes fill it, of which
// an element has `element`: one row where the first size is free. Nothing when
// they do not fit, or when two sizes would be open.
std::optional<Shape> FittingShape(std::span<const int64_t> declared, size_t came,
                                  size_t element = 1);

// "inputs[x]", or `where` alone when there is no name.
std::string Place(std::string_view where, std::string_view name);

// "[2,3]", cut short when it is long.
std::string ShapeText(std::span<const int64_t> shape);

}  // namespace torchfleet::gateway::rest
