#include "model-worker/execute/reshape.h"

#include <algorithm>
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

bool Fits(const std::vector<int64_t>& promised, const std::vector<int64_t>& shape) {
  return std::equal(promised.begin(), promised.end(), shape.begin(), shape.end(),
                    [](int64_t wanted, int64_t is) { return wanted < 0 || wanted == is; });
}

}  // namespace torchfleet::worker
