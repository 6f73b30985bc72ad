#pragma once
// `torchfleet route …`: where the calls for a model go.

#include <CLI/CLI.hpp>

#include "cli/catalogue/catalogue_options.h"

namespace torchfleet::cli {

// Adds the command; the subcommand that is given leaves itself in options.run.
void AddRouteCommand(CLI::App& app, CatalogueOptions& options);

}  // namespace torchfleet::cli
