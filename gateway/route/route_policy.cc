#include "gateway/route/route_policy.h"

#include <fmt/format.h>

#include <algorithm>

#include "absl/strings/ascii.h"

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

bool IsNumber(std::string_view version) {
  return std::all_of(version.begin(), version.end(), absl::ascii_isdigit);
}

// As the catalogue has them.
bool IsAlias(std::string_view version) {
  return version.size() <= kMaxNameBytes && absl::ascii_isalpha(version.front()) &&
         std::all_of(version.begin(), version.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
         });
}

absl::Status NoneReady(std::string_view what) {
  return WithRetryDelay(
      absl::UnavailableError(fmt::format("{} has no worker that is ready; try again later", what)),
      kRetryDelay);
}

absl::Status NoModel(std::string_view model) {
  return absl::NotFoundError(fmt::format("there is no model '{}'", Clip(model)));
}

absl::StatusOr<Route> Latest(const FleetSnapshot& fleet, std::string_view model) {
  const auto known = fleet.models.find(model);
  if (known == fleet.models.end()) return NoModel(model);
  const auto& versions = known->second->versions;
  const auto highest = std::find_if(versions.rbegin(), versions.rend(),
                                    [](const auto& v) { return !v.second->ready.empty(); });
  if (highest == versions.rend()) return NoneReady(fmt::format("model '{}'", Clip(model)));
  return Route{.model = known->first,
               .version = highest->first,
               .addresses = highest->second->ready,
               .of = &highest->second};
}

// `version`: a number or an alias.
absl::StatusOr<Route> OfVersion(const FleetSnapshot& fleet, std::string_view model,
                                std::string_view version) {
  const auto known = fleet.models.find(model);
  if (known == fleet.models.end()) return NoModel(model);
  const auto& versions = known->second->versions;
  const bool number = IsNumber(version);
  const auto named = number ? version : TrafficPolicy::VersionOf(fleet, model, version);
  const auto exact = named ? versions.find(*named) : versions.end();
  if (exact == versions.end()) {
    return absl::NotFoundError(
        fmt::format("model '{}' has no version {}", Clip(model),
                    number ? std::string(version) : fmt::format("'{}'", Clip(version))));
  }
  if (exact->second->ready.empty()) {
    return NoneReady(fmt::format("model '{}' version {}", Clip(model), exact->first));
  }
  return Route{.model = known->first,
               .version = exact->first,
               .addresses = exact->second->ready,
               .of = &exact->second,
               .redirected = !number};
}

absl::StatusOr<Route> ByRules(const FleetSnapshot& fleet, const registry::v1::Route& rules,
                              const CallTraits& call, uint64_t random) {
  const auto choice = TrafficPolicy::Choose(fleet, rules, call, random);
  if (!choice) return Latest(fleet, rules.model());
  ASSIGN_OR_RETURN(Route route, RoutePolicy::To(fleet, choice->target));
  // A request without a version is every version's.
  route.redirected = choice->target.model != rules.model();
  route.shadow = choice->shadow;
  route.trial = choice->trial;
  return route;
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
  if ((IsNumber(version) && version.size() <= kMaxVersionDigits) || IsAlias(version)) {
    return absl::OkStatus();
  }
  return WithBadField(
      absl::InvalidArgumentError(fmt::format(
          "the model's version is '{}'; expected a whole number of at most {} digits, an alias, or "
          "nothing for the version that is served by default",
          Clip(version), kMaxVersionDigits)),
      "model_version");
}

absl::StatusOr<Route> RoutePolicy::Choose(const FleetSnapshot& fleet, std::string_view model,
                                          std::string_view version, const CallTraits& call,
                                          uint64_t random) {
  RETURN_IF_ERROR(CheckName(model, version));
  if (fleet.is_fixed()) {
    return Route{.model = model, .version = version, .addresses = fleet.fixed.ready};
  }
  if (!fleet.seen) {
    return WithRetryDelay(
        absl::UnavailableError("this gateway has not heard yet which models there are; "
                               "try again later"),
        kRetryDelay);
  }
  const auto rules = fleet.routes.find(model);
  if (rules == fleet.routes.end()) return To(fleet, {.model = model, .version = version});
  ASSIGN_OR_RETURN(Route route, version.empty() ? ByRules(fleet, *rules->second, call, random)
                                                : OfVersion(fleet, model, version));
  route.calls = CallRules(rules->second->calls());
  return route;
}

absl::StatusOr<Route> RoutePolicy::To(const FleetSnapshot& fleet, const TrafficTarget& target) {
  return target.version.empty() ? Latest(fleet, target.model)
                                : OfVersion(fleet, target.model, target.version);
}

}  // namespace torchfleet::gateway
