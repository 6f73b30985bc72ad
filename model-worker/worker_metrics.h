#pragma once
// The worker's figures for Prometheus, read when somebody asks.

#include <prometheus/collectable.h>

#include <functional>
#include <vector>

#include "model-worker/execute/model_spec.h"
#include "model-worker/front/model_statistics.h"
#include "model-worker/queue/request_queue.h"

namespace torchfleet::worker {

// Borrows all it shows.
class WorkerMetrics : public prometheus::Collectable {
 public:
  // What the executors tell: requests running, and answers refused because the
  // model broke its configuration's promise.
  struct Execution {
    int running = 0;
    uint64_t mismatches = 0;
  };

  WorkerMetrics(const ModelSpec& spec, const ModelStatistics& statistics, const RequestQueue& queue,
                std::function<Execution()> execution)
      : spec_(spec), statistics_(statistics), queue_(queue), execution_(std::move(execution)) {}

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const ModelSpec& spec_;
  const ModelStatistics& statistics_;
  const RequestQueue& queue_;
  const std::function<Execution()> execution_;
};

}  // namespace torchfleet::worker
