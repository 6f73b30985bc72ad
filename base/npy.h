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
  // Element type: '|b1', whole numbers of 1, 2, 4 or 8 bytes ('|u1', '<i8'),
  // floats of 2, 4 or 8 ('<f4').
  std::string descr;
  std::vector<int64_t> shape;
  // The elements, row-major; a view into the file's bytes.
  std::string_view data;
};

// INVALID_ARGUMENT for what is no .npy file, is in Fortran order, holds
// big-endian numbers or elements that are none of the above, or has not the
// bytes that its header says.
absl::StatusOr<NpyArray> ParseNpy(std::string_view bytes);

}  // namespace torchfleet
