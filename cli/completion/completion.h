#pragma once
// Shell completion scripts, made from the command line's own description.

#include <CLI/CLI.hpp>
#include <string>

#include "absl/status/statusor.h"

namespace torchfleet::cli {

// For bash, zsh or fish; INVALID_ARGUMENT for another shell.
absl::StatusOr<std::string> CompletionScript(const CLI::App& app, const std::string& shell);

}  // namespace torchfleet::cli
