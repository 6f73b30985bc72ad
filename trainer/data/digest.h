#pragma once
// SHA-256 of files, for the record of what a model was trained on.

#include <filesystem>
#include <string>

#include "absl/status/statusor.h"

namespace torchfleet::trainer {

// 64 hexadecimal digits. NOT_FOUND when the file cannot be read.
absl::StatusOr<std::string> FileDigest(const std::filesystem::path& file);

}  // namespace torchfleet::trainer
