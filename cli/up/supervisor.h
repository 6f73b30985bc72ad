#pragma once
// Keeps a fleet running: registry first, then gateway and workers; starts again
// what ends, with growing pauses; drains all at the end.
//
//   registry ready ─► gateway, workers ─► all ready (told once) ─► …
//   interrupted ─► gateway drains ─► workers drain ─► registry ends
//
// The gateway goes first, while the workers still answer what it has accepted.
// Which workers run is the roster's to say, again and again. A worker that ends
// well has drained because somebody wanted it, and stays away until the roster
// wishes it anew.
// Borrows roster, launcher and clock. Not thread-safe; Run returns when all is gone.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cli/up/fleet_plan.h"
#include "cli/up/launcher.h"
#include "cli/up/restart_policy.h"

namespace torchfleet::cli {

struct SupervisorOptions {
  std::string repository;
  // host:port for callers; port 0 takes a free one.
  std::string gateway_listen;
  std::string worker_binary = "torchfleet-worker";
  // As torchfleet-registry's --store takes it.
  std::string registry_store = "memory";
  // Given on to every process.
  std::vector<std::string> common_arguments;
};

// One process as it stands, for whoever shows it.
struct ProcessView {
  std::string role;
  std::string name;
  // Of a worker: "mnist version 3".
  std::string model;
  std::string address;
  std::string operator_address;
  int64_t pid = 0;
  bool ready = false;
};

// Which workers are to run. Begin once the registry is there; from then on
// whatever changes wakes the launcher.
class Roster {
 public:
  virtual ~Roster() = default;
  virtual void Begin(const std::string& registry_address) = 0;
  // All of them, when there is something new since the last time.
  virtual std::optional<std::vector<PlannedWorker>> Take() = 0;
  // The wish that stood when that worker began to drain; nothing when nobody knows.
  virtual std::optional<uint64_t> WishAtDrain(const std::string& worker_id) = 0;
};

class Supervisor {
 public:
  struct Callbacks {
    // Every process has been ready once, or has failed once.
    std::function<void(const std::vector<ProcessView>&)> on_up;
    // A process came or went.
    std::function<void(const std::vector<ProcessView>&)> on_change;
    // Something a person should read.
    std::function<void(const std::string&)> on_message;
  };

  Supervisor(SupervisorOptions options, Roster& roster, Launcher& launcher, const Clock& clock,
             Callbacks callbacks);

  // Until interrupted and drained. UNAVAILABLE when the registry or the gateway
  // cannot start at all: with a wrong address, say.
  absl::Status Run();

  std::vector<ProcessView> View() const;

 private:
  // kDrained: ended of its own will. kEnded: for good.
  enum class State { kWaiting, kStarting, kReady, kDrained, kEnded };
  struct Process {
    std::string role;
    ProcessSpec spec;
    State state = State::kWaiting;
    RestartPolicy restart;
    Instant start_at;  // when kWaiting
    Instant started;
    bool was_ready = false;
    bool failed = false;
    // Of a worker: nobody wants it any more; it was told to end; what it stands
    // for.
    bool unwanted = false;
    bool stopped = false;
    std::string model;
    std::string worker_id;
    uint64_t wish = 0;
    std::string address;
    std::string operator_address;
    int64_t pid = 0;
  };

  void Add(const std::string& role, const std::string& name, const std::string& binary,
           std::vector<std::string> arguments);
  void AddGateway();
  void AddWorker(const PlannedWorker& worker);
  // Starts and stops workers so that these run.
  void Follow(const std::vector<PlannedWorker>& workers);
  void Dismiss(const std::string& name, Process& process);
  absl::Status StartDue();
  static bool Indispensable(const Process& process);
  static absl::Status DidNotStart(const Process& process, const std::string& reason);
  absl::Status OnEvent(const LaunchEvent& event);
  void OnReady(Process& process, const LaunchEvent& event);
  absl::Status OnExited(Process& process, const LaunchEvent& event);
  absl::Duration UntilNextStart() const;
  void TellWhenUp();
  void Drain();
  void StopAll(const std::string& role);

  const SupervisorOptions options_;
  Roster& roster_;
  Launcher& launcher_;
  const Clock& clock_;
  const Callbacks callbacks_;
  std::map<std::string, Process> processes_;
  std::string registry_address_;
  bool has_roster_ = false;
  bool told_ = false;
  bool draining_ = false;
};

}  // namespace torchfleet::cli
