#include "registry/registry_metrics.h"

#include <prometheus/metric_family.h>

namespace torchfleet::registry {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

template <typename Number>
MetricFamily Single(const char* name, const char* help, MetricType type, Number value) {
  MetricFamily family{name, help, type, {}};
  ClientMetric metric;
  (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) =
      static_cast<double>(value);
  family.metric.push_back(metric);
  return family;
}

template <typename Number>
MetricFamily Gauge(const char* name, const char* help, Number value) {
  return Single(name, help, MetricType::Gauge, value);
}

template <typename Number>
MetricFamily Counter(const char* name, const char* help, Number value) {
  return Single(name, help, MetricType::Counter, value);
}

MetricFamily ByState(const FleetState& state) {
  MetricFamily family{
      "torchfleet_registry_endpoints", "Workers with a lease, by state", MetricType::Gauge, {}};
  const std::pair<const char*, v1::WorkerState> states[] = {{"starting", v1::WORKER_STATE_STARTING},
                                                            {"ready", v1::WORKER_STATE_READY},
                                                            {"draining", v1::WORKER_STATE_DRAINING},
                                                            {"failed", v1::WORKER_STATE_FAILED}};
  for (const auto& [name, worker_state] : states) {
    ClientMetric metric;
    metric.label = {{"state", name}};
    metric.gauge.value = static_cast<double>(state.CountInState(worker_state));
    family.metric.push_back(metric);
  }
  return family;
}

}  // namespace

std::vector<MetricFamily> RegistryMetrics::Collect() const {
  std::vector<MetricFamily> families = fleet_.Read([](const FleetState& state) {
    return std::vector<MetricFamily>{
        ByState(state),
        Gauge("torchfleet_registry_disconnected", "Workers with a lease whose stream has broken",
              state.disconnected()),
        Gauge("torchfleet_registry_models", "Models in the catalogue", state.models()),
        Gauge("torchfleet_registry_routes", "Routes in the catalogue", state.routes()),
        Gauge("torchfleet_registry_revision", "The fleet's revision", state.position().revision)};
  });
  const PublisherFigures watch = publisher_.figures();
  const SessionFigures sessions = sessions_.figures();
  for (MetricFamily& family : std::vector<MetricFamily>{
           Gauge("torchfleet_registry_store_available", "1 while the store can be reached",
                 fleet_.away_since() ? 0 : 1),
           Gauge("torchfleet_registry_watchers", "Open watch streams", watch.watchers),
           Counter("torchfleet_registry_rounds_total", "Rounds in which watchers were told",
                   watch.rounds),
           Counter("torchfleet_registry_snapshots_total", "Snapshots written to watchers",
                   watch.snapshots),
           Counter("torchfleet_registry_deltas_total", "Deltas written to watchers", watch.deltas),
           Counter("torchfleet_registry_encoded_total", "Messages to watchers that were encoded",
                   watch.encoded),
           Counter("torchfleet_registry_watch_bytes_total", "Bytes written to watchers",
                   watch.bytes),
           Counter("torchfleet_registry_registrations_total", "Leases begun",
                   sessions.registrations),
           Counter("torchfleet_registry_renewals_total", "Renewals asked for", sessions.renewals),
           Counter("torchfleet_registry_refused_total",
                   "Words of workers whose lease was another's", sessions.refused),
           Counter("torchfleet_registry_leaves_total", "Workers that left with a word",
                   sessions.leaves),
           Counter("torchfleet_registry_broken_total", "Streams that ended without it",
                   sessions.broken),
           Counter("torchfleet_registry_gone_total",
                   "Workers that went, with a word or when their lease ended", fleet_.gone())}) {
    families.push_back(std::move(family));
  }
  return families;
}

}  // namespace torchfleet::registry
