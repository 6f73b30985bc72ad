#pragma once
// What a gateway counted of its workers and models, for operators, at GET /workers:
//
//   {"workers":[{"worker":…,"model":…,"version":…,"address":…,
//      "standing":"serving|ejected|probed","reason":"silent|failing|slow"?,
//      "remaining_seconds":…?,"in_flight":…,"limit":…,"others":…,"capacity":…,
//      "outcomes":{"answered":…,…},"retries":…,"hedges":…,"ejections":…,
//      "latency":{"p50_ms":…,"p90_ms":…,"p99_ms":…,"half_octaves":[[i,count],…]}}],
//    "models":[{"model":…,"calls":…,"in_flight":…,"waiting":…,"capacity":…,
//      "retries":…,"hedges":…,"hedges_won":…,"refused":…,"quarantined":…}]}
//
// Counters are since the gateway came to know the worker's address, latency is of
// about the last ten seconds. `half_octaves` are counts that can be added up, as
// base/latency_buckets.h has them, without those that are zero. `others`: calls there
// that other gateways brought.

#include <string>

#include "base/clock.h"
#include "gateway/discover/fleet_snapshot.h"
#include "gateway/forward/backend.h"
#include "gateway/forward/model_calls.h"

namespace torchfleet::gateway {

std::string WorkersPage(const FleetSnapshot& fleet, const BackendTable::Table& backends,
                        const ModelCallsTable::Table& calls, Instant now);

}  // namespace torchfleet::gateway
