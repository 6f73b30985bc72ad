#include "gateway/metrics/gateway_metrics.h"

#include <iterator>
#include <limits>
#include <map>
#include <string>
#include <utility>

#include "gateway/metrics/metric_family.h"

namespace torchfleet::gateway {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

std::string CodeName(size_t code) {
  return absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
}

// `read` gives one loop's counts; a unit of its sum is `unit`.
template <size_t kBounds, typename Read>
void AddHistogram(MetricFamily& family, const std::string& model, const ModelCalls& calls,
                  const std::array<double, kBounds>& bounds, double unit, Read read) {
  auto& histogram = AddMetric(family, {{"model", model}}).histogram;
  uint64_t count = 0;
  for (size_t i = 0; i <= kBounds; ++i) {
    for (const auto& counts : calls.all()) count += read(counts).bucket(i);
    auto& bucket = histogram.bucket.emplace_back();
    bucket.cumulative_count = count;
    bucket.upper_bound = i < kBounds ? bounds[i] : std::numeric_limits<double>::infinity();
  }
  histogram.sample_count = count;
  for (const auto& counts : calls.all()) {
    histogram.sample_sum += static_cast<double>(read(counts).sum()) * unit;
  }
}

std::string StateName(registry::v1::WorkerState state) {
  switch (state) {
    case registry::v1::WORKER_STATE_STARTING:
      return "starting";
    case registry::v1::WORKER_STATE_READY:
      return "ready";
    case registry::v1::WORKER_STATE_DRAINING:
      return "draining";
    case registry::v1::WORKER_STATE_FAILED:
      return "failed";
    default:
      return "unknown";
  }
}

MetricFamily FleetEndpoints(const FleetSnapshot& fleet) {
  MetricFamily family = MakeFamily("torchfleet_gateway_fleet_endpoints",
                                   "Workers this gateway knows.", MetricType::Gauge);
  for (const auto& [model, served] : fleet.models) {
    std::map<std::string, double> count;
    for (const auto& [version, workers] : served->versions) {
      for (const auto& [id, endpoint] : workers->endpoints) ++count[StateName(endpoint->state())];
    }
    for (const auto& [state, number] : count) {
      AddMetric(family, {{"model", model}, {"state", state}}).gauge.value = number;
    }
  }
  return family;
}

// A family for each, in this order.
struct RescueName {
  ModelCalls::Rescue what;
  const char* name;
  // A label beside the model's; null for none.
  const char* label;
  const char* value;
  const char* help;
};
constexpr char kShadowCalls[] = "torchfleet_gateway_shadow_calls_total";
constexpr RescueName kRescues[] = {
    {ModelCalls::Rescue::kRetry, "torchfleet_gateway_retries_total", nullptr, nullptr,
     "Attempts on another replica after one failed."},
    {ModelCalls::Rescue::kHedge, "torchfleet_gateway_hedges_total", nullptr, nullptr,
     "Attempts on another replica while one takes longer than usual."},
    {ModelCalls::Rescue::kHedgeWon, "torchfleet_gateway_hedges_won_total", nullptr, nullptr,
     "Hedges that answered first."},
    {ModelCalls::Rescue::kRefusal, "torchfleet_gateway_refusals_total", nullptr, nullptr,
     "Calls refused because no worker had room."},
    {ModelCalls::Rescue::kWaited, "torchfleet_gateway_waited_total", nullptr, nullptr,
     "Calls that waited for a worker to have room."},
    {ModelCalls::Rescue::kQuarantined, "torchfleet_gateway_quarantined_calls_total", nullptr,
     nullptr, "Calls refused because their request killed two workers."},
    {ModelCalls::Rescue::kEjectedSilent, "torchfleet_gateway_ejections_total", "reason", "silent",
     "Workers that were taken out for a while."},
    {ModelCalls::Rescue::kEjectedFailing, "torchfleet_gateway_ejections_total", "reason", "failing",
     ""},
    {ModelCalls::Rescue::kEjectedSlow, "torchfleet_gateway_ejections_total", "reason", "slow", ""},
    {ModelCalls::Rescue::kReturned, "torchfleet_gateway_returns_total", nullptr, nullptr,
     "Ejected workers that were probed and take calls again."},
    {ModelCalls::Rescue::kShadowSame, kShadowCalls, "result", "same",
     "Copies of calls that were due to a shadow."},
    {ModelCalls::Rescue::kShadowDifferent, kShadowCalls, "result", "different", ""},
    {ModelCalls::Rescue::kShadowFailed, kShadowCalls, "result", "failed", ""},
    {ModelCalls::Rescue::kShadowSkipped, kShadowCalls, "result", "skipped", ""},
};

std::vector<MetricFamily> RescueFamilies() {
  std::vector<MetricFamily> families;
  for (const RescueName& rescue : kRescues) {
    if (!families.empty() && families.back().name == rescue.name) continue;
    families.push_back(MakeFamily(rescue.name, rescue.help, MetricType::Counter));
  }
  return families;
}

void AddRescues(const std::string& model, const ModelCalls& calls,
                std::vector<MetricFamily>& families) {
  auto family = families.begin();
  for (const RescueName& rescue : kRescues) {
    if (family->name != rescue.name) ++family;
    ClientMetric& metric =
        rescue.label ? AddMetric(*family, {{"model", model}, {rescue.label, rescue.value}})
                     : AddMetric(*family, {{"model", model}});
    metric.counter.value = static_cast<double>(calls.count(rescue.what));
  }
}

}  // namespace

GatewayMetrics::GatewayMetrics(const ModelCallsTable& calls, const Snapshot<FleetSnapshot>& fleet,
                               const std::atomic<bool>& registry_connected)
    : calls_(calls), fleet_(fleet), registry_connected_(registry_connected) {}

std::vector<MetricFamily> GatewayMetrics::Collect() const {
  MetricFamily calls =
      MakeFamily("torchfleet_gateway_calls_total",
                 "Inference calls answered, by model and gRPC status code.", MetricType::Counter);
  MetricFamily durations = MakeFamily("torchfleet_gateway_call_duration_seconds",
                                      "How long inference calls took.", MetricType::Histogram);
  MetricFamily requests =
      MakeFamily("torchfleet_gateway_request_size_bytes",
                 "Size of inference requests; the sum is what came in.", MetricType::Histogram);
  MetricFamily answers =
      MakeFamily("torchfleet_gateway_response_size_bytes",
                 "Size of inference answers; the sum is what went out.", MetricType::Histogram);
  MetricFamily in_flight = MakeFamily(
      "torchfleet_gateway_in_flight",
      "Inference calls not yet answered, those that wait included: the demand.", MetricType::Gauge);
  MetricFamily waiting = MakeFamily(
      "torchfleet_gateway_waiting",
      "Of those in flight, the ones that wait for a worker to have room.", MetricType::Gauge);
  MetricFamily waits =
      MakeFamily("torchfleet_gateway_wait_seconds",
                 "How long calls waited for a worker to have room, also those that were refused.",
                 MetricType::Histogram);
  std::vector<MetricFamily> rescues = RescueFamilies();
  for (const auto& [model, counters] : *calls_.All()) {
    for (size_t code = 0; code < ModelCalls::kCodes; ++code) {
      if (counters->ended(code) == 0) continue;
      AddMetric(calls, {{"model", model}, {"code", CodeName(code)}}).counter.value =
          static_cast<double>(counters->ended(code));
    }
    using Counts = ModelCalls::Counts;
    AddHistogram(
        durations, model, *counters, ModelCalls::kDurations, 1e-9,
        [](const Counts& counts) -> auto& { return counts.durations(); });
    AddHistogram(
        requests, model, *counters, ModelCalls::kSizes, 1,
        [](const Counts& counts) -> auto& { return counts.requests(); });
    AddHistogram(
        answers, model, *counters, ModelCalls::kSizes, 1,
        [](const Counts& counts) -> auto& { return counts.answers(); });
    AddMetric(in_flight, {{"model", model}}).gauge.value =
        static_cast<double>(counters->in_flight());
    AddMetric(waiting, {{"model", model}}).gauge.value = static_cast<double>(counters->waiting().taken());
    AddHistogram(
        waits, model, *counters, ModelCalls::kDurations, 1e-9,
        [](const Counts& counts) -> auto& { return counts.waits(); });
    AddRescues(model, *counters, rescues);
  }
  MetricFamily connected =
      MakeFamily("torchfleet_gateway_registry_connected",
                 "Whether the registry's news arrive: 1 or 0.", MetricType::Gauge);
  AddMetric(connected, {}).gauge.value = registry_connected_.load() ? 1 : 0;
  std::vector<MetricFamily> families = {
      std::move(calls),   std::move(durations),          std::move(requests),
      std::move(answers), std::move(in_flight),          std::move(waiting),
      std::move(waits),   FleetEndpoints(*fleet_.Get()), std::move(connected)};
  std::move(rescues.begin(), rescues.end(), std::back_inserter(families));
  return families;
}

}  // namespace torchfleet::gateway
