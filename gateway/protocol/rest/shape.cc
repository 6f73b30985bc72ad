#include "gateway/protocol/rest/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/status.h"

namespace torchfleet::gateway::rest {

std::string Place(std::string_view where, std::string_view name) {
  return name.empty() ? std::string(where) : fmt::format("{}[{}]", where, Clip(name));
}

absl::StatusOr<int64_t> ElementCount(std::span<const int64_t> shape, std::string_view name) {
  const auto wrong = [&](std::string_view what) {
    const std::string place = Place("inputs", name);
    return WithBadField(absl::InvalidArgumentError(
                            fmt::format("{} has the shape {}; {}", place, ShapeText(shape), what)),
                        place + ".shape");
  };
  int64_t count = 1;
  bool overflow = false;
  for (const int64_t dimension : shape) {
    if (dimension < 0) return wrong("expected no negative dimension");
    overflow = __builtin_mul_overflow(count, dimension, &count) || overflow;
  }
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  if (overflow) return wrong("that is more elements than 64 bits can count");
  return count;
}

std::string ShapeText(std::span<const int64_t> shape) {
  return Clip(fmt::format("[{}]", fmt::join(shape, ",")), 96);
}

std::optional<Shape> FittingShape(std::span<const int64_t> declared, size_t came, size_t element) {
  const auto is_free = [](int64_t dimension) { return dimension < 0; };
  Shape shape(declared.begin(), declared.end());
  auto free = std::count_if(shape.begin(), shape.end(), is_free);
  if (free > 1 && is_free(shape.front())) {
    shape.front() = 1;
    --free;
  }
  if (free > 1) return std::nullopt;
  size_t fixed = element;
  for (const int64_t dimension : shape) {
    if (!is_free(dimension) &&
        __builtin_mul_overflow(fixed, static_cast<size_t>(dimension), &fixed)) {
      return std::nullopt;
    }
  }
  if (free == 0) return fixed == came ? std::optional(shape) : std::nullopt;
  if (fixed == 0 || came % fixed != 0) return std::nullopt;
  std::replace_if(shape.begin(), shape.end(), is_free, static_cast<int64_t>(came / fixed));
  return shape;
}

}  // namespace torchfleet::gateway::rest
