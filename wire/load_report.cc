#include "wire/load_report.h"

#include <charconv>

#include "absl/strings/str_cat.h"

namespace torchfleet::wire {

std::string FormatLoadReport(const LoadReport& report) {
  return absl::StrCat(report.requests, " ", report.capacity);
}

std::optional<LoadReport> ParseLoadReport(std::string_view text) {
  LoadReport report;
  const char* const end = text.data() + text.size();
  const auto [space, first] = std::from_chars(text.data(), end, report.requests);
  if (first != std::errc() || space == end || *space != ' ') return std::nullopt;
  const auto [last, second] = std::from_chars(space + 1, end, report.capacity);
  if (second != std::errc() || last != end) return std::nullopt;
  return report;
}

}  // namespace torchfleet::wire
