#include "cli/status/fleet_text.h"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>
#include <string>

namespace torchfleet::cli {
namespace {

std::vector<FleetRow> SomeRows() {
  FleetFile file;
  file.processes = {{"gateway", "127.0.0.1:2", "", 12, true},
                    {"registry", "127.0.0.1:1", "", 11, false}};
  torchfleet::registry::v1::WatchResponse snapshot;
  auto* endpoint = snapshot.mutable_snapshot()->add_endpoints();
  endpoint->mutable_worker()->set_worker_id("mnist-1-0");
  endpoint->mutable_worker()->set_model("mnist");
  endpoint->mutable_worker()->set_version("1");
  endpoint->mutable_worker()->set_address("127.0.0.1:3");
  endpoint->mutable_worker()->set_pid(13);
  endpoint->set_state(torchfleet::registry::v1::WORKER_STATE_DRAINING);
  endpoint->mutable_load()->set_queued(5);
  endpoint->mutable_load()->set_running(1);
  endpoint->mutable_load()->set_capacity(2);
  return FleetRows(file, snapshot);
}

TEST_CASE("FleetText: a table whose columns stand under one another", "[cli][status]") {
  CHECK(FleetAsTable(SomeRows(), {}, false) ==
        "NAME       MODEL  VERSION  STATE     LOAD    ADDRESS\n"
        "registry                   DOWN              127.0.0.1:1\n"
        "gateway                    READY             127.0.0.1:2\n"
        "mnist-1-0  mnist  1        DRAINING  1/2 +5  127.0.0.1:3\n");
}

TEST_CASE("FleetText: colour changes no column", "[cli][status]") {
  std::string text = FleetAsTable(SomeRows(), {}, true);
  CHECK(text.find("\033[31mDOWN") != std::string::npos);
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\033') {
      i = text.find('m', i);
    } else {
      plain += text[i];
    }
  }
  CHECK(plain == FleetAsTable(SomeRows(), {}, false));
}

TEST_CASE("FleetText: says why a worker left before", "[cli][status]") {
  std::vector<FleetRow> rows = SomeRows();
  rows[2].left = "a batch ran for over 1m";
  CHECK(FleetAsTable(rows, {}, false) ==
        FleetAsTable(SomeRows(), {}, false) + "mnist-1-0 left before: a batch ran for over 1m\n");
  const auto processes = nlohmann::json::parse(FleetAsJson(rows, {}))["processes"];
  CHECK(processes[2]["left"] == "a batch ran for over 1m");
}

TEST_CASE("FleetText: shows phases, broken streams, failures and models without a worker",
          "[cli][status]") {
  torchfleet::registry::v1::WatchResponse said;
  auto& fleet = *said.mutable_snapshot();
  const auto add = [&](const char* id, torchfleet::registry::v1::WorkerState state) {
    auto* endpoint = fleet.add_endpoints();
    endpoint->mutable_worker()->set_worker_id(id);
    endpoint->mutable_worker()->set_model("mnist");
    endpoint->mutable_worker()->set_version("1");
    endpoint->set_state(state);
    return endpoint;
  };
  add("a", torchfleet::registry::v1::WORKER_STATE_DRAINING)
      ->set_drain_phase(torchfleet::registry::v1::DRAIN_PHASE_FINISHING);
  add("b", torchfleet::registry::v1::WORKER_STATE_READY)->set_disconnected(true);
  add("c", torchfleet::registry::v1::WORKER_STATE_FAILED)->set_reason("the model is corrupt");
  for (const char* name : {"absent", "mnist", "resting"}) fleet.add_models()->set_name(name);
  fleet.mutable_models(2)->mutable_placement()->set_unloaded(true);
  const auto rows = FleetRows({}, said);
  CHECK(FleetAsTable(rows, {}, false) ==
        "NAME     MODEL    VERSION  STATE               LOAD  ADDRESS\n"
        "a        mnist    1        DRAINING finishing  0/0\n"
        "b        mnist    1        READY disconnected  0/0\n"
        "c        mnist    1        FAILED              0/0\n"
        "absent   absent            NO WORKER\n"
        "resting  resting           UNLOADED\n"
        "c failed: the model is corrupt\n");
  std::vector<bool> wanted;
  for (const FleetRow& row : rows) wanted.push_back(row.as_wanted());
  CHECK(wanted == std::vector<bool>{false, false, false, false, true});
  const auto processes = nlohmann::json::parse(FleetAsJson(rows, {}))["processes"];
  CHECK(processes[0]["phase"] == "finishing");
  CHECK(processes[1]["disconnected"] == true);
  CHECK(processes[2]["reason"] == "the model is corrupt");
  CHECK(processes[3]["state"] == "NO WORKER");
}

TEST_CASE("FleetText: JSON has every field", "[cli][status]") {
  const auto processes = nlohmann::json::parse(FleetAsJson(SomeRows(), {}))["processes"];
  REQUIRE(processes.size() == 3);
  CHECK(processes[0]["role"] == "registry");
  CHECK(processes[0]["state"] == "DOWN");
  CHECK_FALSE(processes[1].contains("load"));
  CHECK(processes[2] == nlohmann::json::parse(R"({"role":"worker","name":"mnist-1-0",
      "address":"127.0.0.1:3","model":"mnist","version":"1","state":"DRAINING","pid":13,
      "load":{"queued":5,"running":1,"capacity":2}})"));
}

// Of one worker, ejected, as two gateways counted it.
FleetFigures SomeFigures() {
  FleetFigures figures;
  WorkerFigures& worker = figures.workers["mnist-1-0"];
  worker.calls = 1234;
  worker.retries = 3;
  worker.hedges = 12;
  worker.ejections = 1;
  worker.outcomes = {{"answered", 1230}, {"failed", 4}};
  worker.gateways = 2;
  worker.ejected_by = 1;
  worker.reason = "slow";
  worker.late[20] = 100;
  ModelFigures& model = figures.models["mnist"];
  model.calls = 1200;
  model.in_flight = 7;
  model.waiting = 2;
  model.capacity = 4;
  model.late = worker.late;
  figures.models["other"] = {};
  figures.heard = {"127.0.0.1:5", "127.0.0.1:6"};
  figures.unheard = {"127.0.0.1:7 cannot be reached"};
  return figures;
}

TEST_CASE("FleetText: what gateways counted, beside workers and for models", "[cli][status]") {
  std::vector<FleetRow> rows = SomeRows();
  rows[2].state = "READY";
  FleetFigures figures = SomeFigures();
  AddFigures(figures, rows);
  CHECK(FleetAsTable(rows, figures, false) ==
        "NAME       MODEL  VERSION  STATE  LOAD    CALLS  P50 MS  P99 MS  RETRIES  HEDGES  "
        "EJECTED        ADDRESS\n"
        "registry                   DOWN                                                   "
        "               127.0.0.1:1\n"
        "gateway                    READY                                                  "
        "               127.0.0.1:2\n"
        "mnist-1-0  mnist  1        READY  1/2 +5  1234   19.5    23.1    3        12      "
        "1 slow 1 of 2  127.0.0.1:3\n"
        "gateway not heard: 127.0.0.1:7 cannot be reached\n"
        "\n"
        "MODEL  CALLS  P50 MS  P99 MS  IN FLIGHT  WAITING  CAPACITY  RETRIES  HEDGES  REFUSED\n"
        "mnist  1200   19.5    23.1    7          2        4         0        0       0\n");
  CHECK(FleetAsTable(rows, figures, true).find("\033[31m1 slow 1 of 2\033[0m") !=
        std::string::npos);
  figures.workers["mnist-1-0"].calls_per_second = 12.34;
  figures.models["mnist"].calls_per_second = 5;
  AddFigures(figures, rows);
  const std::string text = FleetAsTable(rows, figures, false);
  CHECK(text.find("CALLS/S") != std::string::npos);
  CHECK(text.find("  12.3  ") != std::string::npos);
  CHECK(text.find("mnist  5.0  ") != std::string::npos);
}

TEST_CASE("FleetText: a worker that no gateway knows has dashes", "[cli][status]") {
  FleetFigures figures = SomeFigures();
  figures.workers.clear();
  auto rows = SomeRows();
  AddFigures(figures, rows);
  CHECK(FleetAsTable(rows, figures, false)
            .find("1/2 +5  -      -       -       -        -       -        127.0.0.1:3\n") !=
        std::string::npos);
}

TEST_CASE("FleetText: JSON has what gateways counted", "[cli][status]") {
  const FleetFigures figures = SomeFigures();
  auto rows = SomeRows();
  AddFigures(figures, rows);
  const auto fleet = nlohmann::json::parse(FleetAsJson(rows, figures));
  const auto& worker = fleet["processes"][2]["figures"];
  CHECK(worker["calls"] == 1234);
  CHECK(worker["outcomes"]["failed"] == 4);
  CHECK(worker["ejected_by"] == 1);
  CHECK(worker["ejected_reason"] == "slow");
  CHECK(worker["p99_ms"] > 16);
  CHECK_FALSE(worker.contains("calls_per_second"));
  CHECK_FALSE(fleet["processes"][0].contains("figures"));
  CHECK(fleet["models"][0]["model"] == "mnist");
  CHECK(fleet["models"][0]["waiting"] == 2);
  CHECK(fleet["gateways"]["heard"].size() == 2);
  CHECK(fleet["gateways"]["unheard"][0] == "127.0.0.1:7 cannot be reached");
}

}  // namespace
}  // namespace torchfleet::cli
