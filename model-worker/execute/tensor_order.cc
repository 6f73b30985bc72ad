#include "model-worker/execute/tensor_order.h"

#include <algorithm>
#include <charconv>
#include <numeric>

namespace torchfleet::worker {
namespace {

// `NAME__3` → 3.
std::optional<size_t> IndexInName(const std::string& name) {
  const size_t mark = name.rfind("__");
  if (mark == std::string::npos) return std::nullopt;
  size_t index = 0;
  const char* end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + mark + 2, end, index);
  if (error != std::errc() || rest != end) return std::nullopt;
  return index;
}

}  // namespace

std::optional<std::vector<size_t>> PositionsByName(const std::vector<TensorSpec>& specs,
                                                   const std::vector<std::string>& names) {
  std::vector<size_t> positions;
  for (const TensorSpec& spec : specs) {
    const auto found = std::find(names.begin(), names.end(), spec.name);
    if (found == names.end()) return std::nullopt;
    positions.push_back(static_cast<size_t>(found - names.begin()));
  }
  return positions;
}

std::optional<std::vector<size_t>> PositionsByIndex(const std::vector<TensorSpec>& specs,
                                                    size_t count) {
  std::vector<size_t> positions;
  std::vector<bool> taken(count);
  for (const TensorSpec& spec : specs) {
    const auto index = IndexInName(spec.name);
    if (!index || *index >= count || taken[*index]) return std::nullopt;
    taken[*index] = true;
    positions.push_back(*index);
  }
  return positions;
}

std::vector<size_t> PositionsByIndexOrOrder(const std::vector<TensorSpec>& specs, size_t count) {
  if (auto positions = PositionsByIndex(specs, count)) return *std::move(positions);
  std::vector<size_t> positions(specs.size());
  std::iota(positions.begin(), positions.end(), 0);
  return positions;
}

}  // namespace torchfleet::worker
