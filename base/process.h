#pragma once
// What every one of our servers has on its command line and does at its start.
//
//   int main(int argc, char** argv) {
//     ProcessOptions process{.role = "gateway"};
//     CLI::App app("…");
//     AddProcessFlags(app, process);
//     AddFlag(app, "--listen", listen, "…");
//     if (auto exit_code = ParseFlags(app, argc, argv)) return *exit_code;
//     …
//     AnnounceReady(process, {…});

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace torchfleet {

// Flags common to all servers.
struct ProcessOptions {
  std::string role;
  std::string log_format = "text";
  std::string log_level = "info";
  // host:port for metrics; port 0 takes a free one.
  std::string operator_listen = "127.0.0.1:0";
  // A file descriptor that gets one line of JSON once the process serves; -1
  // for none.
  int ready_fd = -1;
};

// The environment variable of a flag: --log-format → TORCHFLEET_LOG_FORMAT.
std::string EnvironmentName(std::string_view flag);

// A flag whose default comes from its environment variable. Returns the option.
template <typename T>
CLI::Option* AddFlag(CLI::App& app, const std::string& flag, T& value, const std::string& help) {
  return app.add_option(flag, value, help)->envname(EnvironmentName(flag))->capture_default_str();
}

// The same for a duration, written as 300ms, 5s or 1m30s; never negative.
CLI::Option* AddDurationFlag(CLI::App& app, const std::string& flag, absl::Duration& value,
                             const std::string& help);

// --log-format, --log-level, --operator-listen, --ready-fd, --version.
void AddProcessFlags(CLI::App& app, ProcessOptions& options);

// Parses; the exit code when the process should end (help, version, error).
std::optional<int> ParseFlags(CLI::App& app, int argc, char** argv);

// Where a process serves once it does.
struct ReadyReport {
  std::string address;
  std::string operator_address;
};

// Writes {"role":…,"address":…,"operator_address":…,"pid":…} and a newline to
// ready_fd and closes it. Nothing when there is none.
void AnnounceReady(const ProcessOptions& options, const ReadyReport& report);

}  // namespace torchfleet
