#pragma once
// What gateways counted, for people and for programs. Pure.

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/status/gateway_figures.h"
#include "nlohmann/json.hpp"

namespace torchfleet::cli {

// Whether any says how many calls come in a second.
template <typename Figures>
bool HasRates(const std::map<std::string, Figures>& figures) {
  return std::any_of(figures.begin(), figures.end(),
                     [](const auto& entry) { return entry.second.calls_per_second.has_value(); });
}

// Of a worker: calls, p50, p99, retries, hedges, and ejections with why it is out now
// and by how many of several gateways. Dashes where no gateway knows it.
std::vector<std::string> FigureCells(const std::optional<WorkerFigures>& figures, bool rates);
// A line for each model that was called or has workers; empty where there is none.
std::string ModelTable(const FleetFigures& figures);

nlohmann::ordered_json WorkerAsJson(const WorkerFigures& figures);
nlohmann::ordered_json ModelAsJson(const std::string& name, const ModelFigures& figures);

}  // namespace torchfleet::cli
