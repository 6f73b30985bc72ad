#include "cli/status/gateway_figures.h"

#include <fmt/format.h>

#include <algorithm>

#include "nlohmann/json.hpp"

namespace torchfleet::cli {
namespace {

using Json = nlohmann::json;

void AddCalls(const Json& json, CallFigures& figures) {
  figures.retries += json.at("retries").get<uint64_t>();
  figures.hedges += json.at("hedges").get<uint64_t>();
  figures.in_flight += json.at("in_flight").get<int64_t>();
}

void AddLatency(const Json& half_octaves, LatencyBuckets::Counts& late) {
  for (const Json& bucket : half_octaves) {
    late.at(bucket.at(0).get<size_t>()) += bucket.at(1).get<double>();
  }
}

void AddWorker(const Json& json, FleetFigures& figures) {
  WorkerFigures& worker = figures.workers[json.at("worker").get<std::string>()];
  AddCalls(json, worker);
  for (const auto& [outcome, count] : json.at("outcomes").items()) {
    worker.outcomes[outcome] += count.get<uint64_t>();
    worker.calls += count.get<uint64_t>();
  }
  worker.ejections += json.at("ejections").get<uint64_t>();
  ++worker.gateways;
  if (json.at("standing") != "serving") {
    ++worker.ejected_by;
    worker.reason = json.value("reason", "");
  }
  const Json& half_octaves = json.at("latency").at("half_octaves");
  AddLatency(half_octaves, worker.late);
  AddLatency(half_octaves, figures.models[json.at("model").get<std::string>()].late);
}

void AddModel(const Json& json, FleetFigures& figures) {
  ModelFigures& model = figures.models[json.at("model").get<std::string>()];
  AddCalls(json, model);
  model.calls += json.at("calls").get<uint64_t>();
  model.waiting += json.at("waiting").get<int64_t>();
  // Each of them knows all workers.
  model.capacity = std::max(model.capacity, json.at("capacity").get<uint64_t>());
  model.refused += json.at("refused").get<uint64_t>();
  model.quarantined += json.at("quarantined").get<uint64_t>();
}

template <typename Figures>
void SetRatesOf(const std::map<std::string, Figures>& before, double seconds,
                std::map<std::string, Figures>& now) {
  for (auto& [name, figures] : now) {
    const auto known = before.find(name);
    const uint64_t calls = known == before.end() ? 0 : known->second.calls;
    if (figures.calls < calls) continue;
    figures.calls_per_second = static_cast<double>(figures.calls - calls) / seconds;
  }
}

}  // namespace

void AddPage(const std::string& address, const std::string& page, FleetFigures& figures) {
  // Whole or not at all.
  FleetFigures sum = figures;
  try {
    const Json json = Json::parse(page);
    for (const Json& worker : json.at("workers")) AddWorker(worker, sum);
    for (const Json& model : json.at("models")) AddModel(model, sum);
  } catch (const std::exception&) {
    figures.unheard.push_back(
        fmt::format("{} answered with what are no figures of workers; expected a gateway's "
                    "operators' port",
                    address));
    return;
  }
  sum.heard.push_back(address);
  figures = std::move(sum);
}

void SetRates(const FleetFigures& before, absl::Duration passed, FleetFigures& now) {
  if (before.heard != now.heard || passed <= absl::ZeroDuration()) return;
  SetRatesOf(before.workers, absl::ToDoubleSeconds(passed), now.workers);
  SetRatesOf(before.models, absl::ToDoubleSeconds(passed), now.models);
}

}  // namespace torchfleet::cli
