#include "gateway/metrics/canary_metrics.h"

#include <string>

#include "gateway/route/traffic_policy.h"

namespace torchfleet::gateway {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;

ClientMetric& AddMetric(MetricFamily& family, const Trial& trial) {
  ClientMetric& metric = family.metric.emplace_back();
  metric.label.push_back({"model", trial.route->model()});
  metric.label.push_back({"rule", std::to_string(trial.rule)});
  return metric;
}

void AddSide(MetricFamily& family, const Trial& trial, const char* side, const SideFigures& seen) {
  const auto add = [&](const char* result, uint64_t count) {
    ClientMetric& metric = AddMetric(family, trial);
    metric.label.push_back({"side", side});
    metric.label.push_back({"result", result});
    metric.counter.value = static_cast<double>(count);
  };
  add("ok", seen.calls - seen.failed);
  add("failed", seen.failed);
}

}  // namespace

std::vector<MetricFamily> CanaryMetrics::Collect() const {
  MetricFamily share{.name = "torchfleet_gateway_canary_share_percent",
                     .help = "The share of its rule's calls that a canary is to get.",
                     .type = prometheus::MetricType::Gauge,
                     .metric = {}};
  MetricFamily calls{.name = "torchfleet_gateway_canary_calls_total",
                     .help = "Calls of rules with a canary, by the side that they were sent to.",
                     .type = prometheus::MetricType::Counter,
                     .metric = {}};
  const auto table = trials_.table().Get();
  for (const Trial& trial : table->trials) {
    AddMetric(share, trial).gauge.value = TrafficPolicy::ShareOf(trial.canary());
    const TrialFigures seen = trial.calls->Sum();
    AddSide(calls, trial, "canary", seen.canary);
    AddSide(calls, trial, "targets", seen.targets);
  }
  return {share, calls};
}

}  // namespace torchfleet::gateway
