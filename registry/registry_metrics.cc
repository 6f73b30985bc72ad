#include "registry/registry_metrics.h"

#include <prometheus/metric_family.h>

namespace torchfleet::registry {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily Single(const char* name, const char* help, MetricType type, double value) {
  MetricFamily family{name, help, type, {}};
  ClientMetric metric;
  (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  family.metric.push_back(metric);
  return family;
}

MetricFamily ByState(const FleetFigures& figures) {
  MetricFamily family{
      "torchfleet_registry_endpoints", "Workers with a lease, by state", MetricType::Gauge, {}};
  const std::pair<const char*, size_t> states[] = {
      {"starting", figures.starting}, {"ready", figures.ready}, {"draining", figures.draining}};
  for (const auto& [state, count] : states) {
    ClientMetric metric;
    metric.label = {{"state", state}};
    metric.gauge.value = static_cast<double>(count);
    family.metric.push_back(metric);
  }
  return family;
}

}  // namespace

std::vector<MetricFamily> RegistryMetrics::Collect() const {
  const FleetFigures figures = fleet_.figures();
  const auto number = [](auto value) { return static_cast<double>(value); };
  return {ByState(figures),
          Single("torchfleet_registry_watchers", "Open watch streams", MetricType::Gauge,
                 number(figures.watchers)),
          Single("torchfleet_registry_revision", "The fleet's revision", MetricType::Gauge,
                 number(figures.revision)),
          Single("torchfleet_registry_registrations_total", "Leases begun", MetricType::Counter,
                 number(figures.registrations)),
          Single("torchfleet_registry_renewals_total", "Leases renewed", MetricType::Counter,
                 number(figures.renewals)),
          Single("torchfleet_registry_expired_total", "Leases that ended without a word",
                 MetricType::Counter, number(figures.expired))};
}

}  // namespace torchfleet::registry
