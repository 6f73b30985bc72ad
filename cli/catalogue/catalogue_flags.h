#pragma once
// What the subcommands of `model` and `route` have in common.

#include <CLI/CLI.hpp>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/catalogue/catalogue_options.h"

namespace torchfleet::cli {

// A subcommand that runs `run`; with --registry, --timeout and -o.
CLI::App& AddCatalogueCommand(CLI::App& parent, const std::string& name, const std::string& help,
                              CatalogueOptions& options,
                              int (*run)(const CatalogueOptions& options));

// --actor and --revision, of those that change something.
void AddChangeFlags(CLI::App& command, CatalogueOptions& options);
void AddForceFlag(CLI::App& command, CatalogueOptions& options, const std::string& help);
void AddName(CLI::App& command, CatalogueOptions& options);
void AddFile(CLI::App& command, CatalogueOptions& options, const std::string& help);

// The file that the options name.
absl::StatusOr<std::string> ReadFileOf(const CatalogueOptions& options);

// Prints `text`, or the error; the exit code.
int Print(const absl::StatusOr<std::string>& text);
// Prints what is wrong with the command line; the exit code for it.
int WrongUsage(const absl::Status& status);

}  // namespace torchfleet::cli
