#pragma once
// Where a fleet's processes run: the seam between deciding what should run and
// running it. Local processes here; another launcher may make Pods of them.
//
// Not thread-safe but for Wake: one supervisor uses it.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace torchfleet::cli {

// One process of the fleet.
struct ProcessSpec {
  // Unique in the fleet; also the prefix of its log lines: "worker mnist/1.0".
  std::string name;
  // The binary's file name, such as torchfleet-gateway, or a path.
  std::string binary;
  std::vector<std::string> arguments;
};

struct LaunchEvent {
  enum class Kind {
    kReady,        // the process serves; `address`, `operator_address`, `pid`
    kExited,       // it is gone; `reason`
    kInterrupted,  // the user wants all to end
  };
  Kind kind;
  // Which process; empty for kInterrupted.
  std::string name;
  std::string address;
  std::string operator_address;
  int64_t pid = 0;
  std::string reason;
  // Of kExited; nothing when a signal ended it.
  std::optional<int> exit_code = std::nullopt;
};

class Launcher {
 public:
  virtual ~Launcher() = default;

  // Starts it; kReady and kExited follow from Wait. Errors: the binary is not
  // there, or the machine has no room for another process.
  virtual absl::Status Launch(const ProcessSpec& process) = 0;
  // Asks it to finish what it has and go.
  virtual void Stop(const std::string& name) = 0;
  // Ends it at once.
  virtual void Kill(const std::string& name) = 0;
  // The next event, or nothing when none came within `timeout` or Wake was called.
  virtual std::optional<LaunchEvent> Wait(absl::Duration timeout) = 0;
  // Ends the Wait that runs, or the next one. From any thread.
  virtual void Wake() = 0;
};

}  // namespace torchfleet::cli
