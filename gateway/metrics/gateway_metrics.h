#pragma once
// Shows the gateway's counters to Prometheus.
//
// Reads what the path of a call counts, at the time of a scrape; takes no lock
// that a call could wait for. Borrows all it reads. Thread-safe.

#include <prometheus/collectable.h>

#include <atomic>
#include <vector>

#include "base/snapshot.h"
#include "gateway/discover/fleet_snapshot.h"
#include "gateway/forward/model_calls.h"

namespace torchfleet::gateway {

class GatewayMetrics final : public prometheus::Collectable {
 public:
  GatewayMetrics(const ModelCallsTable& calls, const Snapshot<FleetSnapshot>& fleet,
                 const std::atomic<bool>& registry_connected);

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const ModelCallsTable& calls_;
  const Snapshot<FleetSnapshot>& fleet_;
  const std::atomic<bool>& registry_connected_;
};

}  // namespace torchfleet::gateway
