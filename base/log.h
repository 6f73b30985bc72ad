#pragma once
// Structured logs on standard error: a message and named values.
//
//   LogInfo("worker is ready", {{"model", name}, {"version", "3"}});
//
// Text: 2026-11-23T21:00:00.123Z INFO  gateway: worker is ready model=mnist version=3
// JSON: {"time":"…","level":"info","process":"gateway","message":"…","model":"mnist",…}
//
// Thread-safe. Before InitLog, text at level info with no process name.

#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"

namespace torchfleet {

struct LogField {
  template <typename Number>
  requires std::is_arithmetic_v<Number> LogField(std::string_view field_name, Number field_value)
      : name(field_name), value(std::to_string(field_value)) {}
  LogField(std::string_view field_name, std::string_view field_value)
      : name(field_name), value(field_value) {}
  std::string_view name;
  std::string value;
};

// `format`: text or json. `level`: debug, info, warning or error.
// INVALID_ARGUMENT for anything else. Call once, before other threads log.
absl::Status InitLog(std::string_view process, std::string_view format, std::string_view level);

void LogDebug(std::string_view message, std::initializer_list<LogField> fields = {});
void LogInfo(std::string_view message, std::initializer_list<LogField> fields = {});
void LogWarning(std::string_view message, std::initializer_list<LogField> fields = {});
void LogError(std::string_view message, std::initializer_list<LogField> fields = {});

}  // namespace torchfleet
