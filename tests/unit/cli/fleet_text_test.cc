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
  CHECK(RowsAsTable(SomeRows(), false) ==
        "ROLE      NAME       MODEL  VERSION  STATE     LOAD                   ADDRESS      PID\n"
        "registry  registry                   DOWN                             127.0.0.1:1  11\n"
        "gateway   gateway                    READY                            127.0.0.1:2  12\n"
        "worker    mnist-1-0  mnist  1        DRAINING  1/2 running, 5 queued  127.0.0.1:3  13\n");
}

TEST_CASE("FleetText: colour changes no column", "[cli][status]") {
  std::string text = RowsAsTable(SomeRows(), true);
  CHECK(text.find("\033[31mDOWN") != std::string::npos);
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\033') {
      i = text.find('m', i);
    } else {
      plain += text[i];
    }
  }
  CHECK(plain == RowsAsTable(SomeRows(), false));
}

TEST_CASE("FleetText: says why a worker left before", "[cli][status]") {
  std::vector<FleetRow> rows = SomeRows();
  rows[2].left = "a batch ran for over 1m";
  CHECK(RowsAsTable(rows, false) ==
        RowsAsTable(SomeRows(), false) + "mnist-1-0 left before: a batch ran for over 1m\n");
  const auto processes = nlohmann::json::parse(RowsAsJson(rows))["processes"];
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
  CHECK(
      RowsAsTable(rows, false) ==
      "ROLE    NAME     MODEL    VERSION  STATE               LOAD                   ADDRESS  PID\n"
      "worker  a        mnist    1        DRAINING finishing  0/0 running, 0 queued           0\n"
      "worker  b        mnist    1        READY disconnected  0/0 running, 0 queued           0\n"
      "worker  c        mnist    1        FAILED              0/0 running, 0 queued           0\n"
      "model   absent   absent            NO WORKER                                           \n"
      "model   resting  resting           UNLOADED                                            \n"
      "c failed: the model is corrupt\n");
  std::vector<bool> wanted;
  for (const FleetRow& row : rows) wanted.push_back(row.as_wanted());
  CHECK(wanted == std::vector<bool>{false, false, false, false, true});
  const auto processes = nlohmann::json::parse(RowsAsJson(rows))["processes"];
  CHECK(processes[0]["phase"] == "finishing");
  CHECK(processes[1]["disconnected"] == true);
  CHECK(processes[2]["reason"] == "the model is corrupt");
  CHECK(processes[3]["state"] == "NO WORKER");
}

TEST_CASE("FleetText: JSON has every field", "[cli][status]") {
  const auto processes = nlohmann::json::parse(RowsAsJson(SomeRows()))["processes"];
  REQUIRE(processes.size() == 3);
  CHECK(processes[0]["role"] == "registry");
  CHECK(processes[0]["state"] == "DOWN");
  CHECK_FALSE(processes[1].contains("load"));
  CHECK(processes[2] == nlohmann::json::parse(R"({"role":"worker","name":"mnist-1-0",
      "address":"127.0.0.1:3","model":"mnist","version":"1","state":"DRAINING","pid":13,
      "load":{"queued":5,"running":1,"capacity":2}})"));
}

}  // namespace
}  // namespace torchfleet::cli
