#pragma once
// A PNG file as the tensor an image model takes.

#include <filesystem>

#include "absl/status/statusor.h"
#include "cli/infer/tensor_text.h"

namespace torchfleet::cli {

// Grey for inputs of height × width (or [1, height, width], or flat), RGB for
// [3, height, width] and [height, width, 3]. FP32 inputs get 0 … 1, UINT8 ones
// 0 … 255. INVALID_ARGUMENT when the file is no PNG, the image's size is not
// the input's, or the input is of another type.
absl::StatusOr<Tensor> TensorFromPng(const std::filesystem::path& file, const InputSpec& spec);

}  // namespace torchfleet::cli
