#pragma once
// The workers of a fleet with what this gateway counted of each, for whoever shows
// them.

#include <functional>
#include <string>

#include "base/clock.h"
#include "gateway/balance/endpoint_figures.h"
#include "gateway/discover/fleet_snapshot.h"
#include "gateway/forward/backend.h"

namespace torchfleet::gateway {

struct ListedWorker {
  const std::string& model;
  const std::string& version;
  const std::string& worker_id;
  const std::string& address;
  bool ready = false;
  EndpointFigures figures = {};
};

// Every worker that the fleet knows an address of, by model and version. A fixed
// worker is one of the model `other`, without a version, by its address.
void ForEachWorker(const FleetSnapshot& fleet, const BackendTable::Table& backends, Instant now,
                   const std::function<void(const ListedWorker&)>& show);

// serving, ejected or probed.
const char* StateWord(EjectionState state);
// silent, failing or slow; none where nothing is wrong.
const char* ReasonWord(OutlierVerdict why);

}  // namespace torchfleet::gateway
