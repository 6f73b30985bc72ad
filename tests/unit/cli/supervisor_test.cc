#include "cli/up/supervisor.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <iterator>
#include <string>
#include <vector>

#include "tests/unit/cli/supervisor_fakes.h"

namespace torchfleet::cli {
namespace {

TEST_CASE("Supervisor: the registry first, the gateway drained first", "[cli][up]") {
  FakeMachine machine;
  machine.on_launch = [&](const std::string& name) { ComesUp(machine, name); };
  machine.on_idle = [&] { machine.Interrupt(); };
  Told told;
  REQUIRE(RunFleet(machine, told).ok());
  CHECK(machine.notes ==
        std::vector<std::string>{"launch registry", "launch gateway",
                                 std::string("launch ") + kWorkerName, "stop gateway",
                                 std::string("stop ") + kWorkerName, "stop registry"});
  CHECK(Has(machine.arguments["gateway"], "--registry", "127.0.0.1:1"));
  CHECK(Has(machine.arguments[kWorkerName], "--registry", "127.0.0.1:1"));
  CHECK(Has(machine.arguments[kWorkerName], "--worker-id", "m-1-0"));
  CHECK(told.up == 1);
  CHECK(told.messages.empty());
}

TEST_CASE("Supervisor: what ends is started again, each time later, where it was", "[cli][up]") {
  FakeMachine machine;
  machine.on_launch = [&](const std::string& name) {
    ComesUp(machine, name);
    if (name == "gateway" && machine.launched_at[name].size() < 4)
      machine.Exits(name, "was killed");
  };
  machine.on_idle = [&] { machine.Interrupt(); };
  Told told;
  REQUIRE(RunFleet(machine, told).ok());
  const auto& at = machine.launched_at["gateway"];
  REQUIRE(at.size() == 4);
  CHECK(at[1] - at[0] == absl::Milliseconds(100));
  CHECK(at[2] - at[1] == absl::Milliseconds(200));
  CHECK(at[3] - at[2] == absl::Milliseconds(400));
  CHECK(Has(machine.arguments["gateway"], "--listen", "127.0.0.1:2"));
  CHECK(told.up == 1);
  CHECK(told.messages.front() == "gateway was killed; starting it again");
  CHECK(told.messages.back() == "gateway is back");
}

TEST_CASE("Supervisor: a worker that never comes up does not keep the rest waiting", "[cli][up]") {
  FakeMachine machine;
  machine.on_launch = [&](const std::string& name) {
    if (name != kWorkerName) return ComesUp(machine, name);
    machine.Exits(name, "ended with 1");
    if (machine.launched_at[name].size() == 5) machine.Interrupt();
  };
  Told told;
  REQUIRE(RunFleet(machine, told).ok());
  CHECK(told.up == 1);
  // Said once, not at every try.
  CHECK(told.messages == std::vector<std::string>{"worker m/1.0 ended with 1; starting it again"});
}

TEST_CASE("Supervisor: a gateway that cannot start ends it all", "[cli][up]") {
  FakeMachine machine;
  machine.on_launch = [&](const std::string& name) {
    if (name == "gateway") return machine.Exits(name, "ended with 1");
    ComesUp(machine, name);
  };
  Told told;
  const absl::Status status = RunFleet(machine, told);
  CHECK(absl::IsUnavailable(status));
  CHECK(std::string(status.message()).find("the gateway did not start") != std::string::npos);
  CHECK(At(machine.notes, "stop registry") < machine.notes.size());
  CHECK(told.up == 0);
}

TEST_CASE("Supervisor: a binary that is not there is said and tried again", "[cli][up]") {
  FakeMachine machine;
  machine.unlaunchable[kWorkerName] = 2;
  machine.on_launch = [&](const std::string& name) { ComesUp(machine, name); };
  machine.on_idle = [&] { machine.Interrupt(); };
  Told told;
  REQUIRE(RunFleet(machine, told).ok());
  CHECK(machine.launched_at[kWorkerName].size() == 3);
  CHECK(told.messages.front() == "worker m/1.0: the binary is not there");
}

TEST_CASE("Supervisor: no other process before the registry is ready", "[cli][up]") {
  FakeMachine machine;
  machine.on_launch = [&](const std::string& name) {
    if (name == "registry") machine.Interrupt();
  };
  Told told;
  REQUIRE(RunFleet(machine, told).ok());
  CHECK(machine.notes == std::vector<std::string>{"launch registry", "stop registry"});
  CHECK(told.up == 0);
}

TEST_CASE("Supervisor: a registry that ends comes back where everyone knows it", "[cli][up]") {
  FakeMachine machine;
  machine.on_launch = [&](const std::string& name) {
    ComesUp(machine, name);
    if (name == kWorkerName) machine.Exits("registry", "crashed");
  };
  machine.on_idle = [&] { machine.Interrupt(); };
  Told told;
  REQUIRE(RunFleet(machine, told).ok());
  CHECK(machine.launched_at["registry"].size() == 2);
  CHECK(Has(machine.arguments["registry"], "--listen", "127.0.0.1:1"));
  // Nobody else is started again for it.
  CHECK(machine.launched_at["gateway"].size() == 1);
  CHECK(machine.launched_at[kWorkerName].size() == 1);
  CHECK(told.up == 1);
}

TEST_CASE("Supervisor: a worker comes back at a free port, as the same worker", "[cli][up]") {
  FakeMachine machine;
  machine.on_launch = [&](const std::string& name) {
    ComesUp(machine, name);
    if (name == kWorkerName && machine.launched_at[name].size() == 1) {
      machine.Exits(name, "crashed");
    }
  };
  machine.on_idle = [&] { machine.Interrupt(); };
  Told told;
  REQUIRE(RunFleet(machine, told).ok());
  CHECK(machine.launched_at[kWorkerName].size() == 2);
  CHECK(Has(machine.arguments[kWorkerName], "--listen", "127.0.0.1:0"));
  CHECK(Has(machine.arguments[kWorkerName], "--worker-id", "m-1-0"));
}

TEST_CASE("Supervisor: a worker that ends well has drained by wish and stays away", "[cli][up]") {
  FakeMachine machine;
  machine.on_launch = [&](const std::string& name) {
    ComesUp(machine, name);
    if (name == kWorkerName) machine.Exits(name, "ended with exit code 0", 0);
  };
  machine.on_idle = [&] { machine.Interrupt(); };
  Told told;
  REQUIRE(RunFleet(machine, told).ok());
  CHECK(machine.launched_at[kWorkerName].size() == 1);
  CHECK(At(machine.notes, std::string("stop ") + kWorkerName) == machine.notes.size());
  CHECK(told.messages ==
        std::vector<std::string>{
            "worker m/1.0 has drained, as it was told to; load its model to have it back"});
}

TEST_CASE("Supervisor: a gateway that ends well, and a worker that never was ready, come back",
          "[cli][up]") {
  FakeMachine machine;
  machine.on_launch = [&](const std::string& name) {
    const bool again = machine.launched_at[name].size() > 1;
    if (name != kWorkerName || again) ComesUp(machine, name);
    if (name != "registry" && !again) machine.Exits(name, "ended with exit code 0", 0);
  };
  machine.on_idle = [&] { machine.Interrupt(); };
  Told told;
  REQUIRE(RunFleet(machine, told).ok());
  CHECK(machine.launched_at["gateway"].size() == 2);
  CHECK(machine.launched_at[kWorkerName].size() == 2);
}

TEST_CASE("Supervisor: a process that ran long enough is started again at once", "[cli][up]") {
  FakeMachine machine;
  const absl::Duration runs[] = {absl::ZeroDuration(), absl::ZeroDuration(), absl::Seconds(11)};
  machine.on_launch = [&](const std::string& name) {
    ComesUp(machine, name);
    const size_t launches = machine.launched_at[name].size();
    if (name != "gateway" || launches > std::size(runs)) return;
    machine.Passes(runs[launches - 1]);
    machine.Exits(name, "crashed");
  };
  machine.on_idle = [&] { machine.Interrupt(); };
  Told told;
  REQUIRE(RunFleet(machine, told).ok());
  const auto& at = machine.launched_at["gateway"];
  REQUIRE(at.size() == 4);
  CHECK(at[2] - at[1] == absl::Milliseconds(200));
  CHECK(at[3] - at[2] == absl::Seconds(11) + absl::Milliseconds(100));
}

TEST_CASE("Supervisor: a registry that cannot be run at all ends it all", "[cli][up]") {
  for (const char* name : {"registry", "gateway"}) {
    CAPTURE(name);
    FakeMachine machine;
    machine.unlaunchable[name] = 1000;
    machine.on_launch = [&](const std::string& launched) { ComesUp(machine, launched); };
    machine.on_idle = [&] { machine.Interrupt(); };
    Told told;
    const absl::Status status = RunFleet(machine, told);
    CHECK(absl::IsUnavailable(status));
    CHECK(std::string(status.message()).find(std::string("the ") + name + " did not start") !=
          std::string::npos);
    CHECK(std::string(status.message()).find("the binary is not there") != std::string::npos);
    CHECK(machine.launched_at[name].size() == 1);
    CHECK(told.up == 0);
  }
}

TEST_CASE("Supervisor: what everybody is told, and which binary serves", "[cli][up]") {
  FakeMachine machine;
  machine.on_launch = [&](const std::string& name) { ComesUp(machine, name); };
  machine.on_idle = [&] { machine.Interrupt(); };
  SupervisorOptions options;
  options.repository = "models";
  options.gateway_listen = "127.0.0.1:0";
  options.worker_binary = "another-worker";
  options.common_arguments = {"--log-level", "debug"};
  std::vector<std::vector<ProcessView>> views;
  FakeRoster roster({{"m", 1, 0}, {"m", 1, 1}});
  Supervisor supervisor(options, roster, machine, machine,
                        {.on_up = [](const auto&) {},
                         .on_change = [&](const auto& view) { views.push_back(view); },
                         .on_message = [](const std::string&) {}});
  REQUIRE(supervisor.Run().ok());
  REQUIRE(machine.arguments.size() == 4);
  for (const auto& [name, arguments] : machine.arguments) {
    CAPTURE(name);
    CHECK(Has(arguments, "--log-level", "debug"));
    CHECK((machine.binaries[name] == "another-worker") == name.starts_with("worker "));
  }
  CHECK(Has(machine.arguments["worker m/1.1"], "--worker-id", "m-1-1"));
  CHECK(Has(machine.arguments["worker m/1.1"], "--repository", "models"));
  CHECK(Has(machine.arguments["worker m/1.1"], "--model", "m"));
  CHECK(Has(machine.arguments["worker m/1.1"], "--model-version", "1"));
  // One process more is ready each time; the workers came once the registry was.
  REQUIRE(views.size() == 5);
  REQUIRE(views.back().size() == 4);
  for (const ProcessView& process : views.back()) CHECK(process.ready);
  REQUIRE(views.front().size() == 2);
  REQUIRE(views[1].size() == 4);
  CHECK(std::count_if(views.front().begin(), views.front().end(),
                      [](const ProcessView& process) { return process.ready; }) == 1);
}

TEST_CASE("Supervisor: what does not drain in time is ended", "[cli][up]") {
  FakeMachine machine;
  machine.stubborn[kWorkerName] = true;
  machine.on_launch = [&](const std::string& name) { ComesUp(machine, name); };
  machine.on_idle = [&] { machine.Interrupt(); };
  Told told;
  REQUIRE(RunFleet(machine, told).ok());
  const size_t killed = At(machine.notes, std::string("kill ") + kWorkerName);
  REQUIRE(killed < machine.notes.size());
  CHECK(killed < At(machine.notes, "stop registry"));
  CHECK(told.messages == std::vector<std::string>{"a worker did not drain in 15s; ending it"});
}

TEST_CASE("Supervisor: what crashes while the fleet drains is not started again", "[cli][up]") {
  FakeMachine machine;
  machine.on_launch = [&](const std::string& name) { ComesUp(machine, name); };
  machine.on_idle = [&] {
    machine.Interrupt();
    machine.Exits(kWorkerName, "crashed");
  };
  Told told;
  REQUIRE(RunFleet(machine, told).ok());
  CHECK(machine.launched_at[kWorkerName].size() == 1);
}

}  // namespace
}  // namespace torchfleet::cli
