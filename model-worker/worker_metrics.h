#pragma once
// The worker's figures for Prometheus, read when somebody asks.

#include <prometheus/collectable.h>

#include <vector>

#include "base/snapshot.h"
#include "model-worker/engine.h"
#include "model-worker/execute/memory_budget.h"
#include "model-worker/front/model_statistics.h"
#include "model-worker/reload/reloader.h"

namespace torchfleet::worker {

// Borrows all it shows.
class WorkerMetrics : public prometheus::Collectable {
 public:
  struct Sources {
    const Snapshot<Engine>& engine;
    const ModelStatistics& statistics;
    const QueueStatistics& queue;
    const ExecutionStatistics& executions;
    const RunWatch& watch;
    const Reloader& reloader;
    const MemoryBudget& memory;
  };

  explicit WorkerMetrics(const Sources& sources) : from_(sources) {}

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const Sources from_;
};

}  // namespace torchfleet::worker
