#pragma once
// Our other binaries lie beside this one.

#include <filesystem>
#include <string>

namespace torchfleet::cli {

std::filesystem::path SiblingPath(const std::string& name);

}  // namespace torchfleet::cli
