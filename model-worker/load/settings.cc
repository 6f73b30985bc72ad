#include "model-worker/load/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "base/status.h"

namespace torchfleet::worker {
namespace {

constexpr std::string_view kSwitches[] = {"ADAPTIVE_BATCHING", "DISABLE_OPTIMIZED_EXECUTION",
                                          "INFERENCE_MODE"};
constexpr std::string_view kThreadCounts[] = {"INTER_OP_THREAD_COUNT", "INTRA_OP_THREAD_COUNT"};
constexpr std::string_view kOthers[] = {
    "CPUS",         "LENGTHS_INPUT", "MASK_INPUT",     "MAX_PADDING_PERCENT",
    "MODEL_SHA256", "PADDED_INPUTS", "PADDED_OUTPUTS", "PADDING_VALUES"};

template <typename Names>
bool Has(const Names& names, std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

absl::Status ReadSwitch(std::string_view name, std::string& value) {
  bool on = false;
  const std::string lower = absl::AsciiStrToLower(value);
  if (lower == "on" || lower == "off") {
    on = lower == "on";
  } else if (!absl::SimpleAtob(lower, &on)) {
    return absl::InvalidArgumentError(
        fmt::format("{} is '{}'; expected true or false", name, Clip(value)));
  }
  value = on ? "true" : "false";
  return absl::OkStatus();
}

absl::Status CheckThreads(std::string_view name, const std::string& value) {
  constexpr int kMost = 4096;
  int threads = 0;
  if (absl::SimpleAtoi(value, &threads) && threads >= 1 && threads <= kMost) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      fmt::format("{} is '{}'; expected a number of threads, 1 to {}", name, Clip(value), kMost));
}

}  // namespace

absl::Status ReadSettings(std::map<std::string, std::string>& parameters) {
  for (auto& [name, value] : parameters) {
    if (Has(kSwitches, name)) RETURN_IF_ERROR(ReadSwitch(name, value));
    if (Has(kThreadCounts, name)) RETURN_IF_ERROR(CheckThreads(name, value));
  }
  return absl::OkStatus();
}

std::vector<std::string> Unheeded(const std::map<std::string, std::string>& parameters) {
  std::vector<std::string> names;
  for (const auto& [name, value] : parameters) {
    const bool capitals = std::none_of(name.begin(), name.end(), absl::ascii_islower);
    if (!capitals || Has(kSwitches, name) || Has(kThreadCounts, name) || Has(kOthers, name)) {
      continue;
    }
    names.push_back(name);
  }
  return names;
}

}  // namespace torchfleet::worker
