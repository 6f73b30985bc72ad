#include "gateway/metrics/workers_page.h"

#include <cmath>
#include <map>
#include <utility>

#include "gateway/metrics/worker_list.h"
#include "nlohmann/json.hpp"

namespace torchfleet::gateway {
namespace {

using Json = nlohmann::ordered_json;

// To a thousandth: more digits tell nothing.
double Rounded(double value) { return std::round(value * 1000) / 1000; }

Json Latency(const LatencyBuckets::Counts& late) {
  Json json = Json::object();
  constexpr std::pair<const char*, double> kShares[] = {
      {"p50_ms", 0.5}, {"p90_ms", 0.9}, {"p99_ms", 0.99}};
  for (const auto& [name, share] : kShares) {
    if (const auto latency = LatencyBuckets::Quantile(late, share)) {
      json[name] = Rounded(absl::ToDoubleMilliseconds(*latency));
    }
  }
  Json& counts = json["half_octaves"] = Json::array();
  for (size_t i = 0; i < late.size(); ++i) {
    if (late[i] > 0) counts.push_back({i, Rounded(late[i])});
  }
  return json;
}

Json Worker(const ListedWorker& worker) {
  const EndpointFigures& figures = worker.figures;
  const EndpointCounts& counts = figures.counts;
  Json json = {{"worker", worker.worker_id},
               {"model", worker.model},
               {"version", worker.version},
               {"address", worker.address},
               {"standing", StateWord(figures.state)}};
  if (figures.state != EjectionState::kServing) {
    json["reason"] = ReasonWord(figures.why);
    json["remaining_seconds"] = Rounded(absl::ToDoubleSeconds(figures.left));
  }
  json["in_flight"] = figures.outstanding;
  json["limit"] = figures.limit;
  json["others"] = std::llround(figures.others);
  json["capacity"] = figures.capacity;
  json["outcomes"] = {{"answered", counts.answered}, {"failed", counts.failed},
                      {"invalid", counts.invalid},   {"refused", counts.refused},
                      {"lost", counts.lost},         {"silent", counts.silent}};
  json["retries"] = counts.retries;
  json["hedges"] = counts.hedges;
  json["ejections"] = counts.ejections;
  json["latency"] = Latency(figures.late);
  return json;
}

Json Model(const std::string& name, const ModelCalls& calls, uint64_t capacity) {
  using Rescue = ModelCalls::Rescue;
  uint64_t ended = 0;
  for (size_t code = 0; code < ModelCalls::kCodes; ++code) ended += calls.ended(code);
  return {{"model", name},
          {"calls", ended},
          {"in_flight", calls.in_flight()},
          {"waiting", calls.waiting().taken()},
          {"capacity", capacity},
          {"retries", calls.count(Rescue::kRetry)},
          {"hedges", calls.count(Rescue::kHedge)},
          {"hedges_won", calls.count(Rescue::kHedgeWon)},
          {"refused", calls.count(Rescue::kRefusal)},
          {"quarantined", calls.count(Rescue::kQuarantined)}};
}

}  // namespace

std::string WorkersPage(const FleetSnapshot& fleet, const BackendTable::Table& backends,
                        const ModelCallsTable::Table& calls, Instant now) {
  Json workers = Json::array(), models = Json::array();
  std::map<std::string, uint64_t> capacities;
  ForEachWorker(fleet, backends, now, [&](const ListedWorker& worker) {
    workers.push_back(Worker(worker));
    if (worker.ready) capacities[worker.model] += worker.figures.capacity;
  });
  for (const auto& [name, counts] : calls) {
    models.push_back(Model(name, *counts, capacities[name]));
  }
  const Json page = {{"workers", std::move(workers)}, {"models", std::move(models)}};
  return page.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace torchfleet::gateway
