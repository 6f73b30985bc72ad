#pragma once
// The fleet for people and for programs. Pure.

#include <string>
#include <vector>

#include "cli/state/fleet_file.h"
#include "torchfleet/registry/v1/registry.pb.h"

namespace torchfleet::cli {

// One process of the fleet, from whichever source knows it.
struct FleetRow {
  std::string role;
  std::string name;
  std::string address;
  std::string model = {};
  std::string version = {};
  // READY, STARTING, DRAINING or DOWN.
  std::string state;
  int64_t pid = 0;
  // Workers only.
  uint32_t queued = 0, running = 0, capacity = 0;
  // Why it left the last time, where it said so.
  std::string left = {};
};

// Registry and gateway as `up` left them, workers as the registry has them.
std::vector<FleetRow> FleetRows(const FleetFile& file,
                                const torchfleet::registry::v1::WatchResponse& snapshot);

// A line for each process, then one for each that left and said why.
std::string RowsAsTable(const std::vector<FleetRow>& rows, bool colour);
// {"processes":[{role,name,address,model,version,state,pid,load?,left?}]}
std::string RowsAsJson(const std::vector<FleetRow>& rows);

}  // namespace torchfleet::cli
