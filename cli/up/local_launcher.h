#pragma once
// Runs a fleet's processes as children of this one.
//
// A child's output comes out line by line behind its name; its addresses come
// through --ready-fd. Children are in process groups of their own, so that
// Ctrl-C reaches only the supervisor, and get SIGTERM when it dies.
//
// Takes over SIGCHLD, SIGINT and SIGTERM of the process from construction. A
// second SIGINT or SIGTERM kills all children and ends the process with 130.
// Not thread-safe but for Wake. Other threads are begun after construction, so
// that they leave the signals alone.

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <vector>

#include "cli/up/launcher.h"

namespace torchfleet::cli {

class LocalLauncher : public Launcher {
 public:
  // `binaries`: the folder of binaries named without a path. `colour`: prefixes
  // are coloured.
  LocalLauncher(std::filesystem::path binaries, bool colour);
  ~LocalLauncher() override;

  absl::Status Launch(const ProcessSpec& process) override;
  void Stop(const std::string& name) override;
  void Kill(const std::string& name) override;
  std::optional<LaunchEvent> Wait(absl::Duration timeout) override;
  void Wake() override;

 private:
  struct Child {
    pid_t pid = -1;
    int ready_fd = -1;
    int output_fd = -1;
    std::string ready_line;
    std::string output_line;
    int colour = 0;
  };

  std::optional<LaunchEvent> Pending();
  // Whether Wake was called.
  bool Poll(int timeout_ms);
  void ReadSignals();
  void ReadReady(const std::string& name, Child& child);
  void ReadOutput(const std::string& name, Child& child);
  void Reap();
  void Print(const std::string& name, const Child& child, const std::string& line) const;

  const std::filesystem::path binaries_;
  const bool colour_;
  int signal_fd_ = -1;
  int wake_fd_ = -1;
  int interrupts_ = 0;
  int launched_ = 0;
  std::map<std::string, Child> children_;
  std::vector<LaunchEvent> events_;
};

}  // namespace torchfleet::cli
