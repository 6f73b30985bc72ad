#include "cli/up/supervisor.h"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "tests/unit/cli/supervisor_fakes.h"

namespace torchfleet::cli {
namespace {

TEST_CASE("Supervisor: starts and drains workers as the roster changes", "[cli][up]") {
  FakeMachine machine;
  machine.on_launch = [&](const std::string& name) { ComesUp(machine, name); };
  FakeRoster roster({{"m", 1, 0}, {"m", 1, 1}});
  int idle = 0;
  machine.on_idle = [&] {
    switch (idle++) {
      case 0:
        roster.Say({{"m", 1, 1}, {"n", 2, 0}});
        return machine.Ready("gateway", "127.0.0.1:2");  // anything that ends the wait
      case 1:
        roster.Say({});
        return machine.Ready("gateway", "127.0.0.1:2");
      default:
        return machine.Interrupt();
    }
  };
  Told told;
  REQUIRE(RunFleet(machine, told, roster).ok());
  CHECK(machine.launched_at["worker m/1.1"].size() == 1);
  CHECK(machine.launched_at["worker n/2.0"].size() == 1);
  const size_t gone = At(machine.notes, "stop worker m/1.0");
  REQUIRE(gone < machine.notes.size());
  CHECK(gone < At(machine.notes, "stop worker m/1.1"));
  CHECK(At(machine.notes, "stop worker n/2.0") < At(machine.notes, "stop gateway"));
  CHECK(machine.launched_at["worker m/1.0"].size() == 1);
}

TEST_CASE("Supervisor: a new version starts beside the old one, which then drains", "[cli][up]") {
  FakeMachine machine;
  machine.on_launch = [&](const std::string& name) { ComesUp(machine, name); };
  FakeRoster roster({{"m", 1, 0}});
  int idle = 0;
  machine.on_idle = [&] {
    switch (idle++) {
      case 0:
        roster.Say({{"m", 1, 0}, {"m", 2, 0}});
        return machine.Ready("gateway", "127.0.0.1:2");  // anything that ends the wait
      case 1:
        CHECK(At(machine.notes, "launch worker m/2.0") < machine.notes.size());
        CHECK(At(machine.notes, "stop worker m/1.0") == machine.notes.size());
        roster.Say({{"m", 2, 0}});
        return machine.Ready("gateway", "127.0.0.1:2");
      default:
        return machine.Interrupt();
    }
  };
  Told told;
  REQUIRE(RunFleet(machine, told, roster).ok());
  CHECK(At(machine.notes, "stop worker m/1.0") < At(machine.notes, "stop gateway"));
  CHECK(machine.launched_at["worker m/1.0"].size() == 1);
  CHECK(told.messages.back() == "worker m/1.0 is gone, as wished");
}

TEST_CASE("Supervisor: what drained by wish stays away until it is wished anew", "[cli][up]") {
  FakeMachine machine;
  machine.on_launch = [&](const std::string& name) { ComesUp(machine, name); };
  FakeRoster roster({{"m", 1, 0, /*wish=*/5}});
  int idle = 0;
  machine.on_idle = [&] {
    switch (idle++) {
      case 0:
        return machine.Exits(kWorkerName, "ended with exit code 0", 0);
      case 1:
        CHECK(machine.launched_at[kWorkerName].size() == 1);
        roster.Say({{"m", 1, 0, /*wish=*/5}, {"n", 1, 0, /*wish=*/6}});
        return machine.Ready("gateway", "127.0.0.1:2");
      case 2:
        CHECK(machine.launched_at[kWorkerName].size() == 1);
        roster.Say({{"m", 1, 0, /*wish=*/7}, {"n", 1, 0, /*wish=*/6}});
        return machine.Ready("gateway", "127.0.0.1:2");
      default:
        return machine.Interrupt();
    }
  };
  Told told;
  REQUIRE(RunFleet(machine, told, roster).ok());
  CHECK(machine.launched_at[kWorkerName].size() == 2);
  CHECK(machine.launched_at["worker n/1.0"].size() == 1);
}

TEST_CASE("Supervisor: what is wished anew while it drains by wish comes back", "[cli][up]") {
  FakeMachine machine;
  machine.on_launch = [&](const std::string& name) { ComesUp(machine, name); };
  FakeRoster roster({{"m", 1, 0, /*wish=*/5}});
  int idle = 0;
  machine.on_idle = [&] {
    switch (idle++) {
      case 0:
        roster.drained["m-1-0"] = 5;
        roster.Say({{"m", 1, 0, /*wish=*/6}});
        return machine.Ready("gateway", "127.0.0.1:2");  // ends the wait
      case 1:
        CHECK(machine.launched_at[kWorkerName].size() == 1);
        return machine.Exits(kWorkerName, "ended with exit code 0", 0);
      default:
        return machine.Interrupt();
    }
  };
  Told told;
  REQUIRE(RunFleet(machine, told, roster).ok());
  CHECK(machine.launched_at[kWorkerName].size() == 2);
}

TEST_CASE("Supervisor: a worker wanted again while it drains comes back at once", "[cli][up]") {
  FakeMachine machine;
  machine.stubborn[kWorkerName] = true;
  machine.on_launch = [&](const std::string& name) { ComesUp(machine, name); };
  FakeRoster roster({{"m", 1, 0}});
  int idle = 0;
  machine.on_idle = [&] {
    switch (idle++) {
      case 0:
        roster.Say({});
        return machine.Ready("gateway", "127.0.0.1:2");
      case 1:
        roster.Say({{"m", 1, 0}});
        return machine.Ready("gateway", "127.0.0.1:2");
      case 2:
        return machine.Exits(kWorkerName, "ended with exit code 0", 0);
      default:
        machine.stubborn.clear();
        return machine.Interrupt();
    }
  };
  Told told;
  REQUIRE(RunFleet(machine, told, roster).ok());
  CHECK(machine.launched_at[kWorkerName].size() == 2);
}

}  // namespace
}  // namespace torchfleet::cli
