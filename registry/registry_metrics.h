#pragma once
// The registry's figures for Prometheus, read when somebody asks.

#include <prometheus/collectable.h>

#include <vector>

#include "registry/front/sessions.h"
#include "registry/watch/publisher.h"

namespace torchfleet::registry {

// Borrows all three.
class RegistryMetrics : public prometheus::Collectable {
 public:
  RegistryMetrics(const Fleet& fleet, const Publisher& publisher, const Sessions& sessions)
      : fleet_(fleet), publisher_(publisher), sessions_(sessions) {}
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const Fleet& fleet_;
  const Publisher& publisher_;
  const Sessions& sessions_;
};

}  // namespace torchfleet::registry
