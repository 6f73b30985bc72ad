#include "model-worker/execute/reshape.h"

#include <cstddef>

namespace torchfleet::worker {

std::vector<int64_t> Reshaped(const std::vector<int64_t>& from, const std::vector<int64_t>& to,
                              const std::vector<int64_t>& shape) {
  std::vector<int64_t> reshaped = to;
  std::size_t at = 0;
  for (int64_t& dimension : reshaped) {
    if (dimension >= 0) continue;
    while (at < from.size() && from[at] >= 0) ++at;
    if (at < shape.size()) dimension = shape[at];
    ++at;
  }
  return reshaped;
}

}  // namespace torchfleet::worker
