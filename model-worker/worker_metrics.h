#pragma once
// The worker's figures for Prometheus, read when somebody asks.

#include <prometheus/collectable.h>

#include <vector>

#include "base/snapshot.h"
#include "model-worker/engine.h"
#include "model-worker/front/model_statistics.h"

namespace torchfleet::worker {

// Borrows all it shows.
class WorkerMetrics : public prometheus::Collectable {
 public:
  WorkerMetrics(const Snapshot<Engine>& engine, const ModelStatistics& statistics,
                const QueueStatistics& queue, const ExecutionStatistics& executions,
                const RunWatch& watch)
      : engine_(engine),
        statistics_(statistics),
        queue_(queue),
        executions_(executions),
        watch_(watch) {}

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const Snapshot<Engine>& engine_;
  const ModelStatistics& statistics_;
  const QueueStatistics& queue_;
  const ExecutionStatistics& executions_;
  const RunWatch& watch_;
};

}  // namespace torchfleet::worker
