#pragma once
// Shows canaries to Prometheus: what share each gets, and what became of the calls
// of both sides. Counts begin anew with other versions. Thread-safe.

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <vector>

#include "gateway/forward/trial_calls.h"

namespace torchfleet::gateway {

class CanaryMetrics final : public prometheus::Collectable {
 public:
  // Borrows the trials.
  explicit CanaryMetrics(const TrialTable& trials) : trials_(trials) {}

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const TrialTable& trials_;
};

}  // namespace torchfleet::gateway
