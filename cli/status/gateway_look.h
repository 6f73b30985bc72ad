#pragma once
// Asks the gateways of a fleet how its workers do.

#include <string>

#include "absl/time/time.h"
#include "cli/status/gateway_figures.h"

namespace torchfleet::cli {

// Of the gateways named, or of those of the fleet that runs here where none is named
// and `registry`, another fleet's, is not either. Nothing is asked where there are
// none.
FleetFigures LookAtGateways(const std::string& named, const std::string& registry,
                            absl::Duration timeout);

}  // namespace torchfleet::cli
