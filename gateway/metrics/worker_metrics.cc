#include "gateway/metrics/worker_metrics.h"

#include <iterator>
#include <map>
#include <string>
#include <utility>

#include "gateway/metrics/metric_family.h"
#include "gateway/metrics/worker_list.h"

namespace torchfleet::gateway {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr double kQuantiles[] = {0.5, 0.9, 0.99};

// The families of workers, while they are filled.
class Families {
 public:
  void Add(const ListedWorker& worker) {
    const EndpointFigures& figures = worker.figures;
    const EndpointCounts& counts = figures.counts;
    AddOutcome(worker, "answered", counts.answered);
    AddOutcome(worker, "failed", counts.failed);
    AddOutcome(worker, "invalid", counts.invalid);
    AddOutcome(worker, "refused", counts.refused);
    AddOutcome(worker, "lost", counts.lost);
    AddOutcome(worker, "silent", counts.silent);
    AddCount(retries_, worker, counts.retries);
    AddCount(hedges_, worker, counts.hedges);
    AddCount(ejections_, worker, counts.ejections);
    Metric(in_flight_, worker).gauge.value = static_cast<double>(figures.outstanding);
    Metric(limit_, worker).gauge.value = static_cast<double>(figures.limit);
    const bool out = figures.state != EjectionState::kServing;
    Metric(ejected_, worker).gauge.value = out ? 1 : 0;
    AddLatency(worker);
    capacities_[worker.model] += worker.ready ? figures.capacity : 0;
  }

  std::vector<MetricFamily> Take() {
    for (const auto& [model, capacity] : capacities_) {
      AddMetric(capacity_, {{"model", model}}).gauge.value = capacity;
    }
    std::vector<MetricFamily> families;
    for (MetricFamily* family : {&calls_, &latency_, &retries_, &hedges_, &ejections_, &ejected_,
                                 &in_flight_, &limit_, &capacity_}) {
      families.push_back(std::move(*family));
    }
    return families;
  }

 private:
  static ClientMetric& Metric(MetricFamily& family, const ListedWorker& worker) {
    return AddMetric(
        family,
        {{"model", worker.model}, {"version", worker.version}, {"worker", worker.worker_id}});
  }
  static void AddCount(MetricFamily& family, const ListedWorker& worker, uint64_t count) {
    if (count > 0) Metric(family, worker).counter.value = static_cast<double>(count);
  }
  void AddOutcome(const ListedWorker& worker, const char* outcome, uint64_t count) {
    if (count == 0) return;
    ClientMetric& metric = Metric(calls_, worker);
    metric.label.push_back({"outcome", outcome});
    metric.counter.value = static_cast<double>(count);
  }
  void AddLatency(const ListedWorker& worker) {
    const EndpointCounts& counts = worker.figures.counts;
    if (counts.answered == 0) return;
    auto& summary = Metric(latency_, worker).summary;
    summary.sample_count = counts.answered;
    summary.sample_sum = absl::ToDoubleSeconds(counts.latency);
    for (const double share : kQuantiles) {
      if (const auto latency = LatencyBuckets::Quantile(worker.figures.late, share)) {
        summary.quantile.push_back({share, absl::ToDoubleSeconds(*latency)});
      }
    }
  }

  MetricFamily calls_ = MakeFamily("torchfleet_gateway_worker_calls_total",
                                   "Attempts on a worker, by how they ended.", MetricType::Counter);
  MetricFamily latency_ = MakeFamily("torchfleet_gateway_worker_latency_seconds",
                                     "How long a worker took until its answer began; quantiles of "
                                     "the last ten seconds.",
                                     MetricType::Summary);
  MetricFamily retries_ =
      MakeFamily("torchfleet_gateway_worker_retries_total",
                 "Attempts on a worker after another one had failed.", MetricType::Counter);
  MetricFamily hedges_ =
      MakeFamily("torchfleet_gateway_worker_hedges_total",
                 "Attempts on a worker while another one took long.", MetricType::Counter);
  MetricFamily ejections_ =
      MakeFamily("torchfleet_gateway_worker_ejections_total",
                 "How often a worker was taken out for a while.", MetricType::Counter);
  MetricFamily ejected_ = MakeFamily("torchfleet_gateway_worker_ejected",
                                     "Whether it is out now: 1 or 0.", MetricType::Gauge);
  MetricFamily in_flight_ =
      MakeFamily("torchfleet_gateway_worker_in_flight", "Calls of this gateway that a worker has.",
                 MetricType::Gauge);
  MetricFamily limit_ = MakeFamily("torchfleet_gateway_worker_limit",
                                   "How many it may have at once.", MetricType::Gauge);
  MetricFamily capacity_ =
      MakeFamily("torchfleet_gateway_capacity",
                 "Calls that the ready workers of a model can run at once, as they have said.",
                 MetricType::Gauge);
  std::map<std::string, double> capacities_;
};

}  // namespace

std::vector<MetricFamily> WorkerMetrics::Collect() const {
  Families families;
  const auto fleet = fleet_.Get();
  const auto backends = backends_.Get();
  ForEachWorker(*fleet, *backends, clock_.Now(),
                [&](const ListedWorker& worker) { families.Add(worker); });
  return families.Take();
}

}  // namespace torchfleet::gateway
