#pragma once
// Files that the user names.

#include <string>

#include "absl/status/statusor.h"

namespace torchfleet::cli {

// A whole file. INVALID_ARGUMENT, with its path, when it cannot be read.
absl::StatusOr<std::string> ReadFile(const std::string& path);

}  // namespace torchfleet::cli
