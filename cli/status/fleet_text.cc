#include "cli/status/fleet_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "nlohmann/json.hpp"

namespace torchfleet::cli {
namespace {

namespace v1 = torchfleet::registry::v1;

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

std::string Coloured(const std::string& state, size_t width) {
  const bool bad = state == "DOWN" || state == "FAILED" || state == "NO WORKER";
  const int colour = state == "READY" ? 32 : bad ? 31 : 33;
  return fmt::format("\033[{}m{:<{}}\033[0m", colour, state, width);
}

std::string StateCell(const FleetRow& row) {
  std::string text = row.state;
  if (!row.phase.empty()) text += " " + row.phase;
  if (row.disconnected) text += " disconnected";
  return text;
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

std::string RowsAsTable(const std::vector<FleetRow>& rows, bool colour) {
  using Cells = std::array<std::string, 8>;
  std::vector<Cells> lines = {
      {"ROLE", "NAME", "MODEL", "VERSION", "STATE", "LOAD", "ADDRESS", "PID"}};
  for (const FleetRow& row : rows) {
    const std::string load =
        row.role == "worker"
            ? fmt::format("{}/{} running, {} queued", row.running, row.capacity, row.queued)
            : "";
    lines.push_back({row.role, row.name, row.model, row.version, StateCell(row), load, row.address,
                     row.role == "model" ? "" : std::to_string(row.pid)});
  }
  std::array<size_t, 8> widths{};
  for (const Cells& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::string text;
  for (size_t l = 0; l < lines.size(); ++l) {
    for (size_t i = 0; i < lines[l].size(); ++i) {
      if (i > 0) text += "  ";
      const bool last = i + 1 == lines[l].size();
      text += i == 4 && l > 0 && colour ? Coloured(lines[l][i], widths[i])
                                        : fmt::format("{:<{}}", lines[l][i], last ? 0 : widths[i]);
    }
    text += "\n";
  }
  for (const FleetRow& row : rows) {
    if (!row.reason.empty()) text += fmt::format("{} failed: {}\n", row.name, row.reason);
    if (!row.left.empty()) text += fmt::format("{} left before: {}\n", row.name, row.left);
  }
  return text;
}

std::string RowsAsJson(const std::vector<FleetRow>& rows) {
  nlohmann::ordered_json processes = nlohmann::ordered_json::array();
  for (const FleetRow& row : rows) {
    nlohmann::ordered_json process = {{"role", row.role},       {"name", row.name},
                                      {"address", row.address}, {"model", row.model},
                                      {"version", row.version}, {"state", row.state},
                                      {"pid", row.pid}};
    if (row.role == "worker") {
      process["load"] = {
          {"queued", row.queued}, {"running", row.running}, {"capacity", row.capacity}};
    }
    if (!row.left.empty()) process["left"] = row.left;
    if (!row.phase.empty()) process["phase"] = row.phase;
    if (row.disconnected) process["disconnected"] = true;
    if (!row.reason.empty()) process["reason"] = row.reason;
    processes.push_back(process);
  }
  return nlohmann::ordered_json{{"processes", processes}}.dump(1) + "\n";
}

}  // namespace torchfleet::cli
