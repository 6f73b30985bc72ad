#include "cli/status/figures_text.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "cli/text_table.h"

namespace torchfleet::cli {
namespace {

using Json = nlohmann::ordered_json;

// Three digits that tell something.
std::string Short(double value) {
  return fmt::format("{:.{}f}", value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}

std::string QuantileCell(const CallFigures& figures, double share) {
  const auto latency = LatencyBuckets::Quantile(figures.late, share);
  return latency ? Short(absl::ToDoubleMilliseconds(*latency)) : "-";
}

std::string CallsCell(const CallFigures& figures, bool rates) {
  if (!rates) return std::to_string(figures.calls);
  return figures.calls_per_second ? fmt::format("{:.1f}", *figures.calls_per_second) : "-";
}

std::string EjectedCell(const WorkerFigures& figures) {
  std::string text = std::to_string(figures.ejections);
  if (figures.ejected_by == 0) return text;
  text += " " + figures.reason;
  if (figures.gateways > 1) {
    text += fmt::format(" {} of {}", figures.ejected_by, figures.gateways);
  }
  return text;
}

Json CallsAsJson(const CallFigures& figures) {
  Json json = {{"calls", figures.calls}};
  if (figures.calls_per_second) json["calls_per_second"] = *figures.calls_per_second;
  constexpr std::pair<const char*, double> kShares[] = {
      {"p50_ms", 0.5}, {"p90_ms", 0.9}, {"p99_ms", 0.99}};
  for (const auto& [name, share] : kShares) {
    const auto latency = LatencyBuckets::Quantile(figures.late, share);
    if (latency) json[name] = std::round(absl::ToDoubleMicroseconds(*latency)) / 1000;
  }
  json["in_flight"] = figures.in_flight;
  json["retries"] = figures.retries;
  json["hedges"] = figures.hedges;
  return json;
}

}  // namespace

std::vector<std::string> FigureCells(const std::optional<WorkerFigures>& figures, bool rates) {
  if (!figures) return {"-", "-", "-", "-", "-", "-"};
  return {CallsCell(*figures, rates),      QuantileCell(*figures, 0.5),
          QuantileCell(*figures, 0.99),    std::to_string(figures->retries),
          std::to_string(figures->hedges), EjectedCell(*figures)};
}

std::string ModelTable(const FleetFigures& figures) {
  const bool rates = HasRates(figures.models);
  TableRows lines = {{"MODEL", rates ? "CALLS/S" : "CALLS", "P50 MS", "P99 MS", "IN FLIGHT",
                      "WAITING", "CAPACITY", "RETRIES", "HEDGES", "REFUSED"}};
  for (const auto& [name, model] : figures.models) {
    if (model.calls == 0 && model.capacity == 0 && model.in_flight == 0) continue;
    lines.push_back({name, CallsCell(model, rates), QuantileCell(model, 0.5),
                     QuantileCell(model, 0.99), std::to_string(model.in_flight),
                     std::to_string(model.waiting), std::to_string(model.capacity),
                     std::to_string(model.retries), std::to_string(model.hedges),
                     std::to_string(model.refused)});
  }
  return lines.size() == 1 ? "" : AsTable(lines);
}

Json WorkerAsJson(const WorkerFigures& figures) {
  Json json = CallsAsJson(figures);
  json["outcomes"] = figures.outcomes;
  json["ejections"] = figures.ejections;
  json["gateways"] = figures.gateways;
  json["ejected_by"] = figures.ejected_by;
  if (figures.ejected_by > 0) json["ejected_reason"] = figures.reason;
  return json;
}

Json ModelAsJson(const std::string& name, const ModelFigures& figures) {
  Json json = {{"model", name}};
  json.update(CallsAsJson(figures));
  json["waiting"] = figures.waiting;
  json["capacity"] = figures.capacity;
  json["refused"] = figures.refused;
  json["quarantined"] = figures.quarantined;
  return json;
}

}  // namespace torchfleet::cli
