#include "model-worker/worker_metrics.h"

#include <prometheus/metric_family.h>

#include <limits>

#include "absl/status/status.h"

namespace torchfleet::worker {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

MetricFamily Single(const char* name, const char* help, MetricType type, const Labels& labels,
                    double value) {
  MetricFamily family{name, help, type, {}};
  ClientMetric metric;
  metric.label = labels;
  (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  family.metric.push_back(std::move(metric));
  return family;
}

MetricFamily RequestsByCode(const ModelStatistics& statistics, const Labels& labels) {
  MetricFamily family{"torchfleet_worker_requests_total",
                      "Requests answered, by status code",
                      MetricType::Counter,
                      {}};
  for (size_t code = 0; code < statistics.codes.size(); ++code) {
    const uint64_t count = statistics.codes[code].load(std::memory_order_relaxed);
    if (count == 0 && code != 0) continue;
    ClientMetric metric;
    metric.label = labels;
    metric.label.push_back({"code", absl::StatusCodeToString(static_cast<absl::StatusCode>(code))});
    metric.counter.value = static_cast<double>(count);
    family.metric.push_back(std::move(metric));
  }
  return family;
}

MetricFamily Durations(const ModelStatistics& statistics, const Labels& labels) {
  MetricFamily family{"torchfleet_worker_request_duration_seconds",
                      "From queued to answered, of requests that succeeded",
                      MetricType::Histogram,
                      {}};
  ClientMetric metric;
  metric.label = labels;
  uint64_t sum = 0;
  for (size_t i = 0; i < statistics.buckets.size(); ++i) {
    sum += statistics.buckets[i].load(std::memory_order_relaxed);
    const double bound = i < ModelStatistics::kBounds.size()
                             ? ModelStatistics::kBounds[i]
                             : std::numeric_limits<double>::infinity();
    metric.histogram.bucket.push_back({sum, bound});
  }
  metric.histogram.sample_count = sum;
  metric.histogram.sample_sum =
      static_cast<double>(statistics.success.nanoseconds.load(std::memory_order_relaxed)) / 1e9;
  family.metric.push_back(std::move(metric));
  return family;
}

}  // namespace

std::vector<MetricFamily> WorkerMetrics::Collect() const {
  const Labels labels = {{"model", spec_.name}, {"version", spec_.version}};
  const RequestQueue::Figures queue = queue_.figures();
  const Execution execution = execution_();
  const auto number = [](auto value) { return static_cast<double>(value); };
  return {RequestsByCode(statistics_, labels),
          Durations(statistics_, labels),
          Single("torchfleet_worker_queue_depth", "Requests waiting", MetricType::Gauge, labels,
                 number(queue.depth)),
          Single("torchfleet_worker_running", "Requests running", MetricType::Gauge, labels,
                 number(execution.running)),
          Single("torchfleet_worker_rejected_total", "Requests refused by a full queue",
                 MetricType::Counter, labels, number(queue.rejected)),
          Single("torchfleet_worker_expired_total", "Requests whose deadline passed in the queue",
                 MetricType::Counter, labels, number(queue.expired)),
          Single("torchfleet_worker_cancelled_total", "Requests whose caller left the queue",
                 MetricType::Counter, labels, number(queue.cancelled)),
          Single("torchfleet_worker_output_mismatch_total",
                 "Answers refused because the model broke its configuration's promise",
                 MetricType::Counter, labels, number(execution.mismatches))};
}

}  // namespace torchfleet::worker
