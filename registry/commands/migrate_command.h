#pragma once
// `torchfleet-registry migrate`: from one store to another.

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "base/clock.h"

namespace torchfleet::registry {

class MigrateCommand {
 public:
  // Adds it to the command line.
  explicit MigrateCommand(CLI::App& app);

  // After the command line was read: does it if it was given, and returns the
  // exit code.
  std::optional<int> Run(const Clock& clock) const;

 private:
  absl::Status Migrate(const Clock& clock) const;

  CLI::App* migrate_;
  std::string from_;
  std::string to_;
  bool force_ = false;
};

}  // namespace torchfleet::registry
