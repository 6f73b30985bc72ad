#pragma once
// How busy a worker is, as it tells the gateways in the trailing metadata of
// each answer: "3 8", requests that it has and requests that it can run at once.
//
// Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace torchfleet::wire {

inline constexpr char kLoadHeader[] = "torchfleet-load";

struct LoadReport {
  // Waiting or running, whoever sent them.
  uint32_t requests = 0;
  uint32_t capacity = 0;
};

std::string FormatLoadReport(const LoadReport& report);
// Nothing for a text that is none.
std::optional<LoadReport> ParseLoadReport(std::string_view text);

}  // namespace torchfleet::wire
