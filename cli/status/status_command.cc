#include "cli/status/status_command.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "cli/client/inference_client.h"
#include "cli/exit_codes.h"
#include "cli/state/fleet_file.h"
#include "cli/status/fleet_text.h"

namespace torchfleet::cli {

int RunStatus(const StatusOptions& options) {
  // With a registry of the user's own, the fleet that runs here is another.
  const FleetFile file =
      options.registry.empty() ? ReadFleetFile().value_or(FleetFile()) : FleetFile();
  const std::string registry =
      options.registry.empty() ? file.AddressOf("registry") : options.registry;
  if (registry.empty()) {
    return Fail(absl::UnavailableError(
        "no fleet runs here; start one with torchfleet up, or name a registry with --registry"));
  }
  const auto snapshot = FleetSnapshot(registry, options.timeout);
  if (!snapshot.ok()) return Fail(snapshot.status());
  const auto rows = FleetRows(file, *snapshot);
  const std::string text =
      options.format == "json" ? RowsAsJson(rows) : RowsAsTable(rows, WantsColour(STDOUT_FILENO));
  std::fputs(text.c_str(), stdout);
  const bool ready = std::all_of(rows.begin(), rows.end(),
                                 [](const FleetRow& row) { return row.state == "READY"; });
  return ready ? kOk : kFailed;
}

}  // namespace torchfleet::cli
