#pragma once
// `torchfleet model …`: the models of the registry's catalogue.

#include <CLI/CLI.hpp>

#include "cli/catalogue/catalogue_options.h"

namespace torchfleet::cli {

// Adds the command; the subcommand that is given leaves itself in options.run.
void AddModelCommand(CLI::App& app, CatalogueOptions& options);

}  // namespace torchfleet::cli
