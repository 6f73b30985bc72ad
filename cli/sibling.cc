#include "cli/sibling.h"

namespace torchfleet::cli {

std::filesystem::path SiblingPath(const std::string& name) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? std::filesystem::path(name) : self.parent_path() / name;
}

}  // namespace torchfleet::cli
