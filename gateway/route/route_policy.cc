#include "gateway/route/route_policy.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/status.h"
#include "base/utf8.h"

namespace torchfleet::gateway {
namespace {

absl::Status BadName(std::string_view model, std::string_view expected) {
  return WithBadField(
      absl::InvalidArgumentError(fmt::format("the model's name is '{}' ({} bytes); expected {}",
                                             Clip(model), model.size(), expected)),
      "model_name");
}

absl::Status NoneReady(std::string_view what) {
  return WithRetryDelay(
      absl::UnavailableError(fmt::format("{} has no worker that is ready; try again later", what)),
      kRetryDelay);
}

}  // namespace

absl::Status RoutePolicy::CheckName(std::string_view model, std::string_view version) {
  if (model.empty()) return BadName(model, "a name");
  if (model.size() > kMaxNameBytes) {
    return BadName(model, fmt::format("at most {} bytes", kMaxNameBytes));
  }
  const bool printable = std::none_of(model.begin(), model.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F || c == '/' || c == '\\';
  });
  if (!printable || !IsUtf8(model)) {
    return BadName(model, "UTF-8 without slashes and control characters");
  }
  if (model.front() == '.') return BadName(model, "a name that does not begin with a dot");
  const bool digits =
      std::all_of(version.begin(), version.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || version.size() > kMaxVersionDigits) {
    return WithBadField(
        absl::InvalidArgumentError(fmt::format(
            "the model's version is '{}'; expected a whole number of at most {} digits, or nothing "
            "for the highest that is ready",
            Clip(version), kMaxVersionDigits)),
        "model_version");
  }
  return absl::OkStatus();
}

absl::StatusOr<Route> RoutePolicy::Choose(const FleetSnapshot& fleet, std::string_view model,
                                          std::string_view version) {
  RETURN_IF_ERROR(CheckName(model, version));
  if (fleet.is_fixed()) return Route{.version = version, .addresses = fleet.fixed.ready};
  if (!fleet.seen) {
    return WithRetryDelay(
        absl::UnavailableError("this gateway has not heard yet which models there are; "
                               "try again later"),
        kRetryDelay);
  }
  const FleetModel* const known = fleet.Model(model);
  if (!known) return absl::NotFoundError(fmt::format("there is no model '{}'", Clip(model)));
  const auto& versions = known->versions;
  if (version.empty()) {
    const auto highest = std::find_if(versions.rbegin(), versions.rend(),
                                      [](const auto& v) { return !v.second->ready.empty(); });
    if (highest == versions.rend()) return NoneReady(fmt::format("model '{}'", Clip(model)));
    return Route{.version = highest->first, .addresses = highest->second->ready};
  }
  const auto exact = versions.find(version);
  if (exact == versions.end()) {
    return absl::NotFoundError(fmt::format("model '{}' has no version {}", Clip(model), version));
  }
  if (exact->second->ready.empty()) {
    return NoneReady(fmt::format("model '{}' version {}", Clip(model), version));
  }
  return Route{.version = exact->first, .addresses = exact->second->ready};
}

}  // namespace torchfleet::gateway
