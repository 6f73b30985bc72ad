#include "cli/up/supervisor.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <deque>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace torchfleet::cli {
namespace {

using Kind = LaunchEvent::Kind;

// A machine in which time passes only while the supervisor waits. What happens
// is a script: each event comes when all before it have been taken.
class FakeMachine : public Launcher, public Clock {
 public:
  absl::Status Launch(const ProcessSpec& process) override {
    Note("launch " + process.name);
    arguments[process.name] = process.arguments;
    binaries[process.name] = process.binary;
    launched_at[process.name].push_back(now_);
    if (const auto left = unlaunchable.find(process.name);
        left != unlaunchable.end() && left->second-- > 0) {
      return absl::NotFoundError("the binary is not there");
    }
    if (on_launch) on_launch(process.name);
    return absl::OkStatus();
  }
  void Stop(const std::string& name) override {
    Note("stop " + name);
    if (!stubborn.contains(name)) Exits(name, "ended");
  }
  void Kill(const std::string& name) override {
    Note("kill " + name);
    Exits(name, "was killed");
  }
  std::optional<LaunchEvent> Wait(absl::Duration timeout) override {
    if (!events_.empty()) {
      const LaunchEvent event = events_.front();
      events_.pop_front();
      return event;
    }
    if (timeout == absl::InfiniteDuration()) {
      if (on_idle) {
        const auto act = on_idle;
        act();
        REQUIRE_FALSE(events_.empty());
        return Wait(timeout);
      }
      FAIL("waits for ever");
    }
    now_ = now_ + timeout;
    return std::nullopt;
  }
  void Wake() override {}
  Instant Now() const override { return now_; }

  void Ready(const std::string& name, const std::string& address) {
    events_.push_back({Kind::kReady, name, address, "", 1, ""});
  }
  void Exits(const std::string& name, const std::string& reason,
             std::optional<int> exit_code = std::nullopt) {
    events_.push_back({Kind::kExited, name, "", "", 0, reason, exit_code});
  }
  void Interrupt() { events_.push_back({Kind::kInterrupted, "", "", "", 0, ""}); }
  void Passes(absl::Duration duration) { now_ = now_ + duration; }
  void Note(const std::string& line) { notes.push_back(line); }

  std::vector<std::string> notes;
  std::map<std::string, std::vector<std::string>> arguments;
  std::map<std::string, std::string> binaries;
  std::map<std::string, std::vector<Instant>> launched_at;
  std::map<std::string, int> unlaunchable;
  std::map<std::string, bool> stubborn;
  std::function<void(const std::string&)> on_launch;
  std::function<void()> on_idle;

 private:
  Instant now_ = Instant::FromStart(absl::Seconds(100));
  std::deque<LaunchEvent> events_;
};

const char kWorkerName[] = "worker m/1.0";

// Says what it is given to say, once each time.
class FakeRoster : public Roster {
 public:
  explicit FakeRoster(std::vector<PlannedWorker> workers) : next_(std::move(workers)) {}
  void Begin(const std::string& address) override { registry = address; }
  std::optional<std::vector<PlannedWorker>> Take() override {
    return std::exchange(next_, std::nullopt);
  }
  std::optional<uint64_t> WishAtDrain(const std::string& worker_id) override {
    const auto wish = drained.find(worker_id);
    return wish == drained.end() ? std::nullopt : std::optional(wish->second);
  }
  void Say(std::vector<PlannedWorker> workers) { next_ = std::move(workers); }

  std::string registry;
  std::map<std::string, uint64_t> drained;

 private:
  std::optional<std::vector<PlannedWorker>> next_;
};

// Everything comes up at once where it is launched.
void ComesUp(FakeMachine& machine, const std::string& name) {
  machine.Ready(name, name == "registry" ? "127.0.0.1:1" : name == "gateway" ? "127.0.0.1:2" : "w");
}

struct Told {
  int up = 0;
  std::vector<std::string> messages;
};

absl::Status RunFleet(FakeMachine& machine, Told& told, FakeRoster& roster) {
  SupervisorOptions options;
  options.repository = "models";
  options.gateway_listen = "127.0.0.1:0";
  Supervisor supervisor(options, roster, machine, machine,
                        {.on_up = [&](const auto&) { ++told.up; },
                         .on_change = [](const auto&) {},
                         .on_message = [&](const std::string& m) { told.messages.push_back(m); }});
  return supervisor.Run();
}

absl::Status RunFleet(FakeMachine& machine, Told& told) {
  FakeRoster roster({{"m", 1, 0}});
  const absl::Status status = RunFleet(machine, told, roster);
  CHECK((roster.registry == "127.0.0.1:1") == machine.launched_at.contains("gateway"));
  return status;
}

size_t At(const std::vector<std::string>& lines, const std::string& line) {
  return static_cast<size_t>(std::find(lines.begin(), lines.end(), line) - lines.begin());
}

bool Has(const std::vector<std::string>& arguments, const std::string& flag,
         const std::string& value) {
  const size_t at = At(arguments, flag);
  return at + 1 < arguments.size() && arguments[at + 1] == value;
}

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
