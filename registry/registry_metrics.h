#pragma once
// The fleet's figures for Prometheus, read when somebody asks.

#include <prometheus/collectable.h>

#include <vector>

#include "registry/watch/fleet.h"

namespace torchfleet::registry {

// Borrows the fleet.
class RegistryMetrics : public prometheus::Collectable {
 public:
  explicit RegistryMetrics(const Fleet& fleet) : fleet_(fleet) {}
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const Fleet& fleet_;
};

}  // namespace torchfleet::registry
