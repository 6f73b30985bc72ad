#include "registry/state/registration.h"

#include <fmt/format.h>

#include <algorithm>

#include "absl/strings/numbers.h"
#include "base/status.h"
#include "base/utf8.h"

namespace torchfleet::registry {
namespace {

constexpr size_t kMaxText = 256;
constexpr size_t kMaxZone = 64;
constexpr int kMaxTensors = 1024;

absl::Status BadField(std::string_view field, const std::string& message) {
  return WithBadField(absl::InvalidArgumentError(fmt::format("{} {}", field, message)), field);
}

absl::Status CheckText(std::string_view field, const std::string& text) {
  if (text.empty()) return BadField(field, "is empty; expected a value");
  if (text.size() > kMaxText) {
    return BadField(field, fmt::format("has {} bytes; expected at most {}", text.size(), kMaxText));
  }
  return absl::OkStatus();
}

absl::Status CheckAddress(std::string_view field, const std::string& address) {
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 1 || port > 65535) {
    return BadField(field, fmt::format("is '{}'; expected host:port", Clip(address)));
  }
  return absl::OkStatus();
}

absl::Status CheckZone(const std::string& zone) {
  if (zone.size() > kMaxZone) {
    return BadField("zone",
                    fmt::format("has {} bytes; expected at most {}", zone.size(), kMaxZone));
  }
  const bool printable =
      std::none_of(zone.begin(), zone.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
  if (printable && IsUtf8(zone)) return absl::OkStatus();
  return BadField("zone",
                  fmt::format("is '{}'; expected UTF-8 without control characters", Clip(zone)));
}

}  // namespace

absl::Status CheckRegistration(const v1::Worker& worker, v1::WorkerState state) {
  RETURN_IF_ERROR(CheckText("worker_id", worker.worker_id()));
  RETURN_IF_ERROR(CheckText("address", worker.address()));
  RETURN_IF_ERROR(CheckAddress("address", worker.address()));
  RETURN_IF_ERROR(CheckText("model", worker.model()));
  int64_t version = 0;
  if (!absl::SimpleAtoi(worker.version(), &version) || version < 1 ||
      std::to_string(version) != worker.version()) {
    return BadField("version",
                    fmt::format("is '{}'; expected a whole number over 0", Clip(worker.version())));
  }
  if (worker.inputs_size() > kMaxTensors || worker.outputs_size() > kMaxTensors) {
    return BadField("inputs",
                    fmt::format("and outputs are {} and {}; expected at most {} each",
                                worker.inputs_size(), worker.outputs_size(), kMaxTensors));
  }
  RETURN_IF_ERROR(CheckZone(worker.zone()));
  return CheckState(state);
}

absl::Status CheckState(v1::WorkerState state) {
  if (state == v1::WORKER_STATE_UNSPECIFIED || !v1::WorkerState_IsValid(state)) {
    return BadField("state", "is not set; expected STARTING, READY, DRAINING or FAILED");
  }
  return absl::OkStatus();
}

}  // namespace torchfleet::registry
