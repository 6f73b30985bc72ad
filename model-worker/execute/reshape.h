#pragma once
// Shapes of a tensor that has another one inside the model than outside. Pure.

#include <cstdint>
#include <vector>

namespace torchfleet::worker {

// `shape`, which fits `from`, as `to` has it: the dimensions of `to`, of which
// the k-th that varies is as long as the k-th of `from` that does. `from` and
// `to` have equally many that vary.
std::vector<int64_t> Reshaped(const std::vector<int64_t>& from, const std::vector<int64_t>& to,
                              const std::vector<int64_t>& shape);

// Whether `shape` has the dimensions of `promised`, but for those that vary.
bool Fits(const std::vector<int64_t>& promised, const std::vector<int64_t>& shape);

}  // namespace torchfleet::worker
