#pragma once
// How old the fleet is that calls see, for Prometheus. Thread-safe.

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <atomic>
#include <vector>

namespace torchfleet::gateway {

class FleetAge : public prometheus::Collectable {
 public:
  // Borrows the time, in seconds since 1970.
  explicit FleetAge(const std::atomic<double>& known_at) : known_at_(known_at) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    prometheus::MetricFamily family;
    family.name = "torchfleet_gateway_fleet_known_timestamp_seconds";
    family.help = "When a registry last spoke of the fleet that calls see.";
    family.type = prometheus::MetricType::Gauge;
    family.metric.emplace_back().gauge.value = known_at_;
    return {family};
  }

 private:
  const std::atomic<double>& known_at_;
};

}  // namespace torchfleet::gateway
