#pragma once
// A machine, a roster and a fleet for tests of the supervisor.

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/up/supervisor.h"

namespace torchfleet::cli {

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

inline constexpr char kWorkerName[] = "worker m/1.0";

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
inline void ComesUp(FakeMachine& machine, const std::string& name) {
  machine.Ready(name, name == "registry" ? "127.0.0.1:1" : name == "gateway" ? "127.0.0.1:2" : "w");
}

struct Told {
  int up = 0;
  std::vector<std::string> messages;
};

inline absl::Status RunFleet(FakeMachine& machine, Told& told, FakeRoster& roster) {
  SupervisorOptions options;
  options.repository = "models";
  options.gateway_listen = "127.0.0.1:0";
  Supervisor supervisor(options, roster, machine, machine,
                        {.on_up = [&](const auto&) { ++told.up; },
                         .on_change = [](const auto&) {},
                         .on_message = [&](const std::string& m) { told.messages.push_back(m); }});
  return supervisor.Run();
}

inline absl::Status RunFleet(FakeMachine& machine, Told& told) {
  FakeRoster roster({{"m", 1, 0}});
  const absl::Status status = RunFleet(machine, told, roster);
  CHECK((roster.registry == "127.0.0.1:1") == machine.launched_at.contains("gateway"));
  return status;
}

inline size_t At(const std::vector<std::string>& lines, const std::string& line) {
  return static_cast<size_t>(std::find(lines.begin(), lines.end(), line) - lines.begin());
}

inline bool Has(const std::vector<std::string>& arguments, const std::string& flag,
                const std::string& value) {
  const size_t at = At(arguments, flag);
  return at + 1 < arguments.size() && arguments[at + 1] == value;
}

}  // namespace torchfleet::cli
