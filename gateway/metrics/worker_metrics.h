#pragma once
// Shows each worker to Prometheus, by model, version and worker_id, and what the
// workers of a model can run at once.
//
// Latency is a summary: its quantiles are of about the last ten seconds, its sum and
// count since the beginning. Counters that are zero are left out, as are quantiles of
// nothing, so that a fleet of 10,000 workers stays small.
//
// Reads what the path of a call counts; takes no lock that a call could wait for.
// Borrows all it reads. Thread-safe.

#include <prometheus/collectable.h>

#include <vector>

#include "base/clock.h"
#include "base/snapshot.h"
#include "gateway/discover/fleet_snapshot.h"
#include "gateway/forward/backend.h"

namespace torchfleet::gateway {

class WorkerMetrics final : public prometheus::Collectable {
 public:
  WorkerMetrics(const Snapshot<FleetSnapshot>& fleet, const BackendTable& backends,
                const Clock& clock)
      : fleet_(fleet), backends_(backends), clock_(clock) {}

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const Snapshot<FleetSnapshot>& fleet_;
  const BackendTable& backends_;
  const Clock& clock_;
};

}  // namespace torchfleet::gateway
