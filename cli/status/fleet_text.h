#pragma once
// The fleet for people and for programs. Pure.

#include <optional>
#include <string>
#include <vector>

#include "cli/state/fleet_file.h"
#include "cli/status/gateway_figures.h"
#include "torchfleet/registry/v1/registry.pb.h"

namespace torchfleet::cli {

// One process of the fleet, from whichever source knows it.
struct FleetRow {
  std::string role;
  std::string name;
  std::string address;
  std::string model = {};
  std::string version = {};
  // READY, STARTING, DRAINING, FAILED or DOWN; of a model without a worker, NO
  // WORKER or UNLOADED.
  std::string state;
  int64_t pid = 0;
  // Workers only.
  uint32_t queued = 0, running = 0, capacity = 0;
  // Why it left the last time, where it said so.
  std::string left = {};
  // How far it has come when it is DRAINING.
  std::string phase = {};
  // The registry has not heard from it since its stream broke.
  bool disconnected = false;
  // Why it is FAILED.
  std::string reason = {};
  // What gateways counted of it, where one was heard.
  std::optional<WorkerFigures> figures = std::nullopt;

  bool as_wanted() const { return (state == "READY" || state == "UNLOADED") && !disconnected; }
};

// `announced` or `finishing`.
std::string PhaseText(torchfleet::registry::v1::DrainPhase phase);

// Registry and gateway as `up` left them, workers as the registry has them, and
// models of the catalogue that have no worker.
std::vector<FleetRow> FleetRows(const FleetFile& file,
                                const torchfleet::registry::v1::WatchResponse& snapshot);

void AddFigures(const FleetFigures& figures, std::vector<FleetRow>& rows);

// A line for each process, then one for each that said why it failed or left. Where
// gateways were heard, with what they counted, and a second table of the models.
std::string FleetAsTable(const std::vector<FleetRow>& rows, const FleetFigures& figures,
                         bool colour);
// {"processes":[{role,name,address,model,version,state,pid,load?,left?,phase?,
//     disconnected?,reason?,figures?:{calls,calls_per_second?,p50_ms?,p90_ms?,p99_ms?,
//     in_flight,retries,hedges,outcomes,ejections,gateways,ejected_by,ejected_reason?}}],
//  "models"?:[{model,calls,calls_per_second?,p50_ms?,p90_ms?,p99_ms?,in_flight,retries,
//     hedges,waiting,capacity,refused,quarantined}],
//  "gateways"?:{heard,unheard}}
std::string FleetAsJson(const std::vector<FleetRow>& rows, const FleetFigures& figures);

}  // namespace torchfleet::cli
