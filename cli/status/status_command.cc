#include "cli/status/status_command.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "cli/client/registry_client.h"
#include "cli/exit_codes.h"
#include "cli/state/fleet_file.h"
#include "cli/status/fleet_text.h"
#include "cli/status/gateway_look.h"
#include "cli/status/status_watch.h"

namespace torchfleet::cli {

int RunStatus(const StatusOptions& options) {
  if (options.watch) {
    const absl::Status status = WatchStatus(options);
    return status.ok() ? kOk : Fail(status);
  }
  // With a registry of the user's own, the fleet that runs here is another.
  const FleetFile file =
      options.registry.empty() ? ReadFleetFile().value_or(FleetFile()) : FleetFile();
  const auto registry = RegistryAddresses(options.registry);
  if (!registry.ok()) return Fail(registry.status());
  const auto snapshot = FleetSnapshot(*registry, options.timeout);
  if (!snapshot.ok()) return Fail(snapshot.status());
  const FleetFigures figures = LookAtGateways(options.operators, options.registry, options.timeout);
  auto rows = FleetRows(file, *snapshot);
  AddFigures(figures, rows);
  const std::string text = options.format == "json"
                               ? FleetAsJson(rows, figures)
                               : FleetAsTable(rows, figures, WantsColour(STDOUT_FILENO));
  std::fputs(text.c_str(), stdout);
  const bool ready =
      std::all_of(rows.begin(), rows.end(), [](const FleetRow& row) { return row.as_wanted(); });
  return ready && figures.unheard.empty() ? kOk : kFailed;
}

}  // namespace torchfleet::cli
