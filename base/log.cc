#include "base/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"

namespace torchfleet {
namespace {

struct LogState {
  std::string process;
  bool json = false;
  std::shared_ptr<spdlog::logger> logger;
};

LogState& State() {
  static LogState* state = [] {
    auto* s = new LogState;
    s->logger = std::make_shared<spdlog::logger>("torchfleet",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
    s->logger->set_pattern("%v");
    return s;
  }();
  return *state;
}

std::string_view LevelName(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::debug:
      return "debug";
    case spdlog::level::warn:
      return "warning";
    case spdlog::level::err:
      return "error";
    default:
      return "info";
  }
}

std::string_view LevelTag(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::debug:
      return "DEBUG";
    case spdlog::level::warn:
      return "WARN ";
    case spdlog::level::err:
      return "ERROR";
    default:
      return "INFO ";
  }
}

// Values with blanks or quotes are quoted, so that a line splits at blanks.
std::string TextValue(const std::string& value) {
  if (!value.empty() && value.find_first_of(" \t\r\n\"=") == std::string::npos) return value;
  return nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void Write(spdlog::level::level_enum level, std::string_view message,
           std::initializer_list<LogField> fields) {
  LogState& state = State();
  if (!state.logger->should_log(level)) return;
  const std::string time =
      absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone());
  std::string line;
  if (state.json) {
    nlohmann::ordered_json object = {{"time", time},
                                     {"level", std::string(LevelName(level))},
                                     {"process", state.process},
                                     {"message", std::string(message)}};
    for (const LogField& field : fields) object[std::string(field.name)] = field.value;
    line = object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  } else {
    line = fmt::format("{} {} ", time, LevelTag(level));
    if (!state.process.empty()) line += state.process + ": ";
    line += message;
    for (const LogField& field : fields) {
      line += fmt::format(" {}={}", field.name, TextValue(field.value));
    }
  }
  state.logger->log(level, line);
}

}  // namespace

absl::Status InitLog(std::string_view process, std::string_view format, std::string_view level) {
  LogState& state = State();
  state.process = std::string(process);
  if (format != "text" && format != "json") {
    return absl::InvalidArgumentError(
        fmt::format("log format is '{}'; expected text or json", format));
  }
  state.json = format == "json";
  if (level == "debug")
    state.logger->set_level(spdlog::level::debug);
  else if (level == "info")
    state.logger->set_level(spdlog::level::info);
  else if (level == "warning")
    state.logger->set_level(spdlog::level::warn);
  else if (level == "error")
    state.logger->set_level(spdlog::level::err);
  else {
    return absl::InvalidArgumentError(
        fmt::format("log level is '{}'; expected debug, info, warning or error", level));
  }
  return absl::OkStatus();
}

void LogDebug(std::string_view m, std::initializer_list<LogField> f) {
  Write(spdlog::level::debug, m, f);
}
void LogInfo(std::string_view m, std::initializer_list<LogField> f) {
  Write(spdlog::level::info, m, f);
}
void LogWarning(std::string_view m, std::initializer_list<LogField> f) {
  Write(spdlog::level::warn, m, f);
}
void LogError(std::string_view m, std::initializer_list<LogField> f) {
  Write(spdlog::level::err, m, f);
}

}  // namespace torchfleet
