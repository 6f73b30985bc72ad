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

// Rows of the batches that ran: the sum is the rows, the count the batches.
MetricFamily BatchSizes(const ExecutionStatistics::Figures& executions, const Labels& labels) {
  MetricFamily family{
      "torchfleet_worker_batch_rows", "Rows of the batches that ran", MetricType::Histogram, {}};
  ClientMetric metric;
  metric.label = labels;
  uint64_t count = 0;
  double sum = 0;
  auto size = executions.sizes.begin();
  for (double bound = 1; bound <= 1024; bound *= 2) {
    for (; size != executions.sizes.end() && static_cast<double>(size->first) <= bound; ++size) {
      count += size->second.count;
      sum += static_cast<double>(size->first) * static_cast<double>(size->second.count);
    }
    metric.histogram.bucket.push_back({count, bound});
  }
  for (; size != executions.sizes.end(); ++size) {
    count += size->second.count;
    sum += static_cast<double>(size->first) * static_cast<double>(size->second.count);
  }
  metric.histogram.bucket.push_back({count, std::numeric_limits<double>::infinity()});
  metric.histogram.sample_count = count;
  metric.histogram.sample_sum = sum;
  family.metric.push_back(std::move(metric));
  return family;
}

// Where the time of requests that succeeded went; summed over requests.
MetricFamily Stages(const ModelStatistics& statistics, const Labels& labels) {
  MetricFamily family{"torchfleet_worker_stage_seconds_total",
                      "Time that requests spent in each stage",
                      MetricType::Counter,
                      {}};
  const std::pair<const char*, const ModelStatistics::Duration*> stages[] = {
      {"queue", &statistics.queue},
      {"input", &statistics.input},
      {"infer", &statistics.infer},
      {"output", &statistics.output}};
  for (const auto& [stage, duration] : stages) {
    ClientMetric metric;
    metric.label = labels;
    metric.label.push_back({"stage", stage});
    metric.counter.value =
        static_cast<double>(duration->nanoseconds.load(std::memory_order_relaxed)) / 1e9;
    family.metric.push_back(std::move(metric));
  }
  return family;
}

MetricFamily Reloads(const Reloader::Figures& figures, const Labels& labels) {
  MetricFamily family{"torchfleet_worker_reloads_total",
                      "Loads of the model beside the one that served",
                      MetricType::Counter,
                      {}};
  const std::pair<const char*, uint64_t> results[] = {{"ok", figures.ok},
                                                      {"failed", figures.failed}};
  for (const auto& [result, count] : results) {
    ClientMetric metric;
    metric.label = labels;
    metric.label.push_back({"result", result});
    metric.counter.value = static_cast<double>(count);
    family.metric.push_back(std::move(metric));
  }
  return family;
}

}  // namespace

std::vector<MetricFamily> WorkerMetrics::Collect() const {
  const auto engine = from_.engine.Get();
  const Labels labels = {{"model", engine->spec().name}, {"version", engine->spec().version}};
  const Scheduler::Figures now = engine->scheduler().figures();
  const ExecutionStatistics::Figures executions = from_.executions.figures();
  const auto gauge = [&](const char* name, const char* help, auto value) {
    return Single(name, help, MetricType::Gauge, labels, static_cast<double>(value));
  };
  const auto counter = [&](const char* name, const char* help, auto value) {
    return Single(name, help, MetricType::Counter, labels, static_cast<double>(value));
  };
  return {
      RequestsByCode(from_.statistics, labels),
      Durations(from_.statistics, labels),
      Stages(from_.statistics, labels),
      BatchSizes(executions, labels),
      Reloads(from_.reloader.figures(), labels),
      gauge("torchfleet_worker_memory_counted_bytes", "Tensors and large requests",
            from_.memory.counted()),
      gauge("torchfleet_worker_memory_limit_bytes", "What the process may use; 0 for no limit",
            from_.memory.limit().value_or(0)),
      counter("torchfleet_worker_memory_refused_total",
              "Tensors and requests refused as memory would not have sufficed",
              from_.memory.refused()),
      gauge("torchfleet_worker_queue_depth", "Requests waiting", now.depth),
      gauge("torchfleet_worker_running", "Batches running", now.running),
      gauge("torchfleet_worker_longest_run_seconds", "How long the longest batch has been running",
            absl::ToDoubleSeconds(from_.watch.longest())),
      counter("torchfleet_worker_rejected_total", "Requests refused by a full queue",
              from_.queue.rejected.load()),
      counter("torchfleet_worker_refused_early_total",
              "Requests refused as they could not be done before their deadline",
              from_.queue.refused_early.load()),
      counter("torchfleet_worker_expired_total", "Requests whose time passed in the queue",
              from_.queue.expired.load()),
      counter("torchfleet_worker_cancelled_total", "Requests whose caller left the queue",
              from_.queue.cancelled.load()),
      counter("torchfleet_worker_elements_total",
              "Elements of batches, or rows where rows do not differ in length",
              executions.elements),
      counter("torchfleet_worker_padding_total", "Those of them that were padding",
              executions.padding),
      counter("torchfleet_worker_apart_total",
              "Batches that failed and whose requests ran again one by one", executions.apart),
      counter("torchfleet_worker_output_mismatch_total",
              "Answers refused because the model broke its configuration's promise",
              executions.mismatches)};
}

}  // namespace torchfleet::worker
