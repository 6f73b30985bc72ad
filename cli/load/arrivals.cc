#include "cli/load/arrivals.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace torchfleet::cli {
namespace {

constexpr std::string_view kSpace = " \t\r";

// Without spaces around it and what is behind a #.
std::string_view Meant(std::string_view line) {
  line = line.substr(0, line.find('#'));
  const size_t first = line.find_first_not_of(kSpace);
  if (first == line.npos) return {};
  return line.substr(first, line.find_last_not_of(kSpace) - first + 1);
}

}  // namespace

absl::StatusOr<std::vector<absl::Duration>> ParseArrivals(std::string_view text) {
  std::vector<absl::Duration> times;
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = Meant(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    double seconds = 0;
    const auto [after, error] = std::from_chars(line.data(), line.data() + line.size(), seconds);
    const bool whole = error == std::errc() && after == line.data() + line.size();
    if (!whole || !std::isfinite(seconds) || seconds < 0) {
      return absl::InvalidArgumentError(fmt::format(
          "line {} is '{}'; expected a time in seconds, as 0.25", number, line.substr(0, 40)));
    }
    const absl::Duration time = absl::Seconds(seconds);
    if (!times.empty() && time < times.back()) {
      return absl::InvalidArgumentError(
          fmt::format("line {} is before the one above it; expected times in order", number));
    }
    times.push_back(time);
  }
  if (times.empty()) return absl::InvalidArgumentError("it holds no times");
  return times;
}

}  // namespace torchfleet::cli
