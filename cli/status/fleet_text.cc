#include "cli/status/fleet_text.h"

#include <fmt/format.h>

#include <iterator>
#include <set>
#include <utility>

#include "cli/status/figures_text.h"
#include "cli/text_table.h"
#include "nlohmann/json.hpp"

namespace torchfleet::cli {
namespace {

namespace v1 = torchfleet::registry::v1;
using Json = nlohmann::ordered_json;

std::string StateText(v1::WorkerState state) {
  switch (state) {
    case v1::WORKER_STATE_READY:
      return "READY";
    case v1::WORKER_STATE_DRAINING:
      return "DRAINING";
    case v1::WORKER_STATE_FAILED:
      return "FAILED";
    default:
      return "STARTING";
  }
}

constexpr int kRed = 31, kGreen = 32, kYellow = 33;
constexpr size_t kState = 3;
// Columns of what gateways counted, and their last one.
constexpr size_t kFigures = 6;
constexpr size_t kEjected = 10;

void Append(std::vector<std::string> cells, std::vector<std::string>& line) {
  std::move(cells.begin(), cells.end(), std::back_inserter(line));
}

std::string StateCell(const FleetRow& row) {
  std::string text = row.state;
  if (!row.phase.empty()) text += " " + row.phase;
  if (row.disconnected) text += " disconnected";
  return text;
}

int StateColour(const std::string& state) {
  const bool bad = state == "DOWN" || state == "FAILED" || state == "NO WORKER";
  return state == "READY" ? kGreen : bad ? kRed : kYellow;
}

// Running of those that it can run at once, and those that wait there.
std::string LoadCell(const FleetRow& row) {
  if (row.role != "worker") return "";
  const std::string queued = row.queued == 0 ? "" : fmt::format(" +{}", row.queued);
  return fmt::format("{}/{}{}", row.running, row.capacity, queued);
}

std::string ProcessTable(const std::vector<FleetRow>& rows, const FleetFigures& figures,
                         bool colour) {
  const bool heard = !figures.heard.empty();
  const bool rates = HasRates(figures.models);
  TableRows lines = {{"NAME", "MODEL", "VERSION", "STATE", "LOAD"}};
  if (heard) {
    Append({rates ? "CALLS/S" : "CALLS", "P50 MS", "P99 MS", "RETRIES", "HEDGES", "EJECTED"},
           lines[0]);
  }
  lines[0].emplace_back("ADDRESS");
  for (const FleetRow& row : rows) {
    auto& line = lines.emplace_back(
        std::vector<std::string>{row.name, row.model, row.version, StateCell(row), LoadCell(row)});
    if (heard) {
      Append(row.role == "worker" ? FigureCells(row.figures, rates)
                                  : std::vector<std::string>(kFigures),
             line);
    }
    line.push_back(row.address);
  }
  if (!colour) return AsTable(lines);
  return AsTable(lines, [&](size_t line, size_t column) {
    if (line == 0) return 0;
    const auto& counted = rows[line - 1].figures;
    if (column == kEjected && counted && counted->ejected_by > 0) return kRed;
    return column == kState ? StateColour(lines[line][column]) : 0;
  });
}

Json ProcessAsJson(const FleetRow& row) {
  Json process = {{"role", row.role},   {"name", row.name},       {"address", row.address},
                  {"model", row.model}, {"version", row.version}, {"state", row.state},
                  {"pid", row.pid}};
  if (row.role == "worker") {
    process["load"] = {
        {"queued", row.queued}, {"running", row.running}, {"capacity", row.capacity}};
  }
  if (!row.left.empty()) process["left"] = row.left;
  if (!row.phase.empty()) process["phase"] = row.phase;
  if (row.disconnected) process["disconnected"] = true;
  if (!row.reason.empty()) process["reason"] = row.reason;
  if (row.figures) process["figures"] = WorkerAsJson(*row.figures);
  return process;
}

void AddModelsWithoutWorker(const v1::WatchResponse::Snapshot& fleet, std::vector<FleetRow>& rows) {
  std::set<std::string> served;
  for (const auto& endpoint : fleet.endpoints()) served.insert(endpoint.worker().model());
  for (const auto& model : fleet.models()) {
    if (served.contains(model.name())) continue;
    rows.push_back({.role = "model",
                    .name = model.name(),
                    .address = "",
                    .model = model.name(),
                    .state = model.placement().unloaded() ? "UNLOADED" : "NO WORKER"});
  }
}

}  // namespace

std::string PhaseText(v1::DrainPhase phase) {
  return phase == v1::DRAIN_PHASE_ANNOUNCED   ? "announced"
         : phase == v1::DRAIN_PHASE_FINISHING ? "finishing"
                                              : "";
}

std::vector<FleetRow> FleetRows(const FleetFile& file, const v1::WatchResponse& snapshot) {
  std::vector<FleetRow> rows;
  for (const char* role : {"registry", "gateway"}) {
    for (const FleetProcess& process : file.processes) {
      if (process.role != role) continue;
      rows.push_back({.role = role,
                      .name = role,
                      .address = process.address,
                      .state = process.ready ? "READY" : "DOWN",
                      .pid = process.pid});
    }
  }
  for (const auto& endpoint : snapshot.snapshot().endpoints()) {
    const auto& worker = endpoint.worker();
    rows.push_back({.role = "worker",
                    .name = worker.worker_id(),
                    .address = worker.address(),
                    .model = worker.model(),
                    .version = worker.version(),
                    .state = StateText(endpoint.state()),
                    .pid = worker.pid(),
                    .queued = endpoint.load().queued(),
                    .running = endpoint.load().running(),
                    .capacity = endpoint.load().capacity(),
                    .left = endpoint.last_leave_reason(),
                    .phase = PhaseText(endpoint.drain_phase()),
                    .disconnected = endpoint.disconnected(),
                    .reason = endpoint.reason()});
  }
  AddModelsWithoutWorker(snapshot.snapshot(), rows);
  return rows;
}

void AddFigures(const FleetFigures& figures, std::vector<FleetRow>& rows) {
  for (FleetRow& row : rows) {
    if (row.role != "worker") continue;
    const auto known = figures.workers.find(row.name);
    if (known != figures.workers.end()) row.figures = known->second;
  }
}

std::string FleetAsTable(const std::vector<FleetRow>& rows, const FleetFigures& figures,
                         bool colour) {
  std::string text = ProcessTable(rows, figures, colour);
  for (const FleetRow& row : rows) {
    if (!row.reason.empty()) text += fmt::format("{} failed: {}\n", row.name, row.reason);
    if (!row.left.empty()) text += fmt::format("{} left before: {}\n", row.name, row.left);
  }
  for (const std::string& why : figures.unheard) {
    text += fmt::format("gateway not heard: {}\n", why);
  }
  if (const std::string models = ModelTable(figures); !models.empty()) text += "\n" + models;
  return text;
}

std::string FleetAsJson(const std::vector<FleetRow>& rows, const FleetFigures& figures) {
  Json processes = Json::array();
  for (const FleetRow& row : rows) processes.push_back(ProcessAsJson(row));
  Json fleet = {{"processes", std::move(processes)}};
  if (!figures.heard.empty()) {
    Json& models = fleet["models"] = Json::array();
    for (const auto& [name, model] : figures.models) models.push_back(ModelAsJson(name, model));
  }
  if (figures.asked()) {
    fleet["gateways"] = {{"heard", figures.heard}, {"unheard", figures.unheard}};
  }
  return fleet.dump(1) + "\n";
}

}  // namespace torchfleet::cli
