#pragma once
// SHA-256 of files, for records of what a model is and what it was trained on.

#include <filesystem>
#include <string>

#include "absl/status/statusor.h"

namespace torchfleet::repository {

// 64 hexadecimal digits. NOT_FOUND when the file cannot be read.
absl::StatusOr<std::string> FileDigest(const std::filesystem::path& file);

}  // namespace torchfleet::repository
