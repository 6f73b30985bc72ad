#include "cli/state/files.h"

#include <fmt/format.h>

#include <fstream>
#include <sstream>

namespace torchfleet::cli {

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  // A folder can be opened, and not be read.
  if (stream) text << stream.rdbuf();
  if (!stream) return absl::InvalidArgumentError(fmt::format("{} cannot be read", path));
  return text.str();
}

}  // namespace torchfleet::cli
