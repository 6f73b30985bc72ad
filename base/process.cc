#include "base/process.h"

#include <unistd.h>

#include "absl/strings/ascii.h"
#include "base/log.h"
#include "base/version.h"
#include "nlohmann/json.hpp"

namespace torchfleet {

std::string EnvironmentName(std::string_view flag) {
  while (!flag.empty() && flag.front() == '-') flag.remove_prefix(1);
  std::string name = "TORCHFLEET_";
  for (const char c : flag) name += c == '-' ? '_' : absl::ascii_toupper(c);
  return name;
}

CLI::Option* AddDurationFlag(CLI::App& app, const std::string& flag, absl::Duration& value,
                             const std::string& help) {
  const auto parse = [&value, flag](const std::string& text) {
    absl::Duration parsed;
    if (!absl::ParseDuration(text, &parsed) || parsed < absl::ZeroDuration()) {
      throw CLI::ValidationError(
          flag, "got '" + text + "'; expected a duration such as 300ms, 5s or 1m30s");
    }
    value = parsed;
  };
  return app.add_option_function<std::string>(flag, parse, help)
      ->envname(EnvironmentName(flag))
      ->default_str(absl::FormatDuration(value));
}

void AddProcessFlags(CLI::App& app, ProcessOptions& options) {
  AddFlag(app, "--log-format", options.log_format, "Logs as text, or as one JSON object a line")
      ->check(CLI::IsMember({"text", "json"}));
  AddFlag(app, "--log-level", options.log_level, "The least severe level that is logged")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  AddFlag(app, "--operator-listen", options.operator_listen,
          "host:port where operators find /metrics; port 0 takes a free one");
  app.add_option("--ready-fd", options.ready_fd,
                 "A file descriptor that gets one line of JSON with the addresses once this "
                 "process serves");
  app.set_version_flag("--version", "torchfleet-" + options.role + " " + kVersion);
}

std::optional<int> ParseFlags(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // CLI11's own codes are over 100; a wrong command line is 2, as elsewhere.
    return app.exit(error) == 0 ? 0 : 2;
  }
  return std::nullopt;
}

void AnnounceReady(const ProcessOptions& options, const ReadyReport& report) {
  if (options.ready_fd < 0) return;
  const nlohmann::ordered_json object = {{"role", options.role},
                                         {"address", report.address},
                                         {"operator_address", report.operator_address},
                                         {"pid", static_cast<int64_t>(getpid())}};
  const std::string line = object.dump() + "\n";
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t written = write(options.ready_fd, rest.data(), rest.size());
    if (written <= 0) {
      LogWarning("nobody reads the readiness line", {{"ready_fd", options.ready_fd}});
      break;
    }
    rest.remove_prefix(static_cast<size_t>(written));
  }
  close(options.ready_fd);
}

}  // namespace torchfleet
