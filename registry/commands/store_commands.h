#pragma once
// `torchfleet-registry backup` and `restore`: copies of the catalogue in an
// SQLite file, made while a registry runs, and put back while none does.

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

namespace torchfleet::registry {

class StoreCommands {
 public:
  // Adds both to the command line. `store` is what its --store says.
  StoreCommands(CLI::App& app, const std::string& store);

  // After the command line was read: does the one that was given, if any, and
  // returns the exit code.
  std::optional<int> Run() const;

 private:
  const std::string& store_;
  CLI::App* backup_;
  CLI::App* restore_;
  std::string file_;
  bool force_ = false;
};

}  // namespace torchfleet::registry
