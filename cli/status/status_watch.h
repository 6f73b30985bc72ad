#pragma once
// `torchfleet status --watch`: the fleet again and again, as it changes.

#include "absl/status/status.h"
#include "cli/status/status_command.h"

namespace torchfleet::cli {

// Until SIGINT or SIGTERM (another one ends the process at once), or until nobody
// reads standard output. Shows the fleet on every change, some of them together
// where they come fast, and each second. A terminal is wiped first each time; other
// outputs get one block after another. While the registry is away it says so, and
// shows what that said last. Calls are of a second, between one look at the gateways and
// the next. Errors: as of RegistryAddresses and FleetSnapshot, at
// the beginning.
absl::Status WatchStatus(const StatusOptions& options);

}  // namespace torchfleet::cli
