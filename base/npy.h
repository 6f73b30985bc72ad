#pragma once
// NumPy's .npy files in memory: versions 1 to 3, C order. Source: NumPy
// enhancement proposal 1.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace torchfleet {

struct NpyArray {
  // Element type: '<f4', '|u1', '|b1', '<i8', …
  std::string descr;
  std::vector<int64_t> shape;
  // The elements, row-major; a view into the file's bytes.
  std::string_view data;
};

// INVALID_ARGUMENT for what is no .npy file, is in Fortran order, holds
// big-endian numbers or Python objects, or has not the bytes that its header
// says.
absl::StatusOr<NpyArray> ParseNpy(std::string_view bytes);

}  // namespace torchfleet
