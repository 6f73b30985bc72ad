#pragma once
// Families of metrics, as Prometheus collects them, in a line each.

#include <prometheus/metric_family.h>

#include <initializer_list>
#include <string>
#include <utility>

namespace torchfleet::gateway {

using MetricLabels = std::initializer_list<std::pair<const char*, std::string>>;

inline prometheus::MetricFamily MakeFamily(const char* name, const char* help,
                                           prometheus::MetricType type) {
  prometheus::MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = type;
  return family;
}

inline prometheus::ClientMetric& AddMetric(prometheus::MetricFamily& family,
                                           const MetricLabels& labels) {
  prometheus::ClientMetric& metric = family.metric.emplace_back();
  metric.label.reserve(labels.size());
  for (const auto& [name, value] : labels) metric.label.push_back({name, value});
  return metric;
}

}  // namespace torchfleet::gateway
