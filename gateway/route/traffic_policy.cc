#include "gateway/route/traffic_policy.h"

#include <algorithm>
#include <string>

#include "absl/container/inlined_vector.h"

namespace torchfleet::gateway {
namespace {

namespace v1 = registry::v1;

constexpr uint32_t kHundred = 100;

bool Matches(const v1::RouteMatch& match, const CallTraits& call) {
  const auto value = match.source_case() == v1::RouteMatch::kHeader
                         ? call.Header(match.header())
                         : call.Parameter(match.parameter());
  if (!value) return false;
  return match.value_case() == v1::RouteMatch::kPrefix ? value->starts_with(match.prefix())
                                                       : *value == match.exact();
}

bool Matches(const v1::RouteRule& rule, const CallTraits& call) {
  return std::all_of(rule.matches().begin(), rule.matches().end(),
                     [&](const auto& match) { return Matches(match, call); });
}

bool TakesCalls(const FleetSnapshot& fleet, const TrafficTarget& target) {
  if (!target.version.empty()) {
    const FleetVersion* const version = fleet.Version(target.model, target.version);
    return version && !version->ready.empty();
  }
  const FleetModel* const model = fleet.Model(target.model);
  return model && std::any_of(model->versions.begin(), model->versions.end(),
                              [](const auto& version) { return !version.second->ready.empty(); });
}

// The finaliser of splitmix64.
uint64_t Mixed(uint64_t hash) {
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
  return hash ^ (hash >> 31);
}

// From 0 to below `whole`.
double PlaceIn(double whole, uint64_t hash) {
  return static_cast<double>(hash >> 11) * 0x1p-53 * whole;
}

struct Share {
  TrafficTarget target;
  uint64_t weight = 0;
};

using Shares = absl::InlinedVector<Share, 4>;

// Who has the place `hash` of the whole, both cut in proportion to the weights.
const TrafficTarget& At(const Shares& shares, uint64_t hash) {
  uint64_t whole = 0;
  for (const Share& share : shares) whole += share.weight;
  const double place = PlaceIn(static_cast<double>(whole), hash);
  double end = 0;
  for (const Share& share : shares) {
    end += static_cast<double>(share.weight);
    if (place < end) return share.target;
  }
  return shares.back().target;
}

uint64_t SideOf(const v1::RouteRule& rule, const CallTraits& call) {
  const auto said =
      rule.split_by_header().empty() ? std::nullopt : call.Header(rule.split_by_header());
  return said ? TrafficPolicy::Hash(*said) : TrafficPolicy::Hash(std::to_string(call.connection()));
}

// The canary, where the caller with that hash is among those who get it.
std::optional<TrafficTarget> PickCanary(const FleetSnapshot& fleet, const v1::Route& route,
                                        const v1::RouteCanary& canary, uint64_t hash) {
  const uint32_t share = TrafficPolicy::ShareOf(canary);
  if (share == 0) return std::nullopt;
  const auto target = TrafficPolicy::Resolve(fleet, route, canary.target());
  if (!target) return std::nullopt;
  const uint64_t own = Mixed(hash ^ TrafficPolicy::Hash(target->version));
  if (PlaceIn(kHundred, own) >= share || !TakesCalls(fleet, *target)) return std::nullopt;
  return target;
}

std::optional<TrafficTarget> Pick(const FleetSnapshot& fleet, const v1::Route& route,
                                  const v1::RouteRule& rule, uint64_t hash) {
  Shares shares;
  for (const auto& target : rule.targets()) {
    const uint64_t weight = rule.targets_size() == 1 ? 1 : target.weight();
    const auto resolved = TrafficPolicy::Resolve(fleet, route, target);
    if (resolved && weight > 0) shares.push_back({*resolved, weight});
  }
  if (shares.empty()) return std::nullopt;
  const TrafficTarget chosen = At(shares, hash);
  if (TakesCalls(fleet, chosen)) return chosen;
  Shares ready;
  for (const Share& share : shares) {
    if (TakesCalls(fleet, share.target)) ready.push_back(share);
  }
  return ready.empty() ? chosen : At(ready, hash);
}

}  // namespace

uint64_t TrafficPolicy::Hash(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return Mixed(hash);
}

uint32_t TrafficPolicy::ShareOf(const v1::RouteCanary& canary) {
  if (canary.phase() == v1::RouteCanary::PHASE_ROLLED_BACK || canary.steps().empty()) return 0;
  const int last = canary.steps_size() - 1;
  return canary.steps(canary.phase() == v1::RouteCanary::PHASE_PROMOTED
                          ? last
                          : std::min(static_cast<int>(canary.step()), last));
}

std::optional<TrafficTarget> TrafficPolicy::Resolve(const FleetSnapshot& fleet,
                                                    const v1::Route& route,
                                                    const v1::RouteTarget& target) {
  TrafficTarget resolved{.model = target.model().empty() ? route.model() : target.model(),
                         .version = target.version()};
  if (target.selector_case() != v1::RouteTarget::kAlias) return resolved;
  const auto version = VersionOf(fleet, resolved.model, target.alias());
  if (!version) return std::nullopt;
  resolved.version = *version;
  return resolved;
}

std::optional<std::string_view> TrafficPolicy::VersionOf(const FleetSnapshot& fleet,
                                                         std::string_view model,
                                                         std::string_view alias) {
  const FleetModel* const found = fleet.Model(model);
  if (!found || !found->catalogued) return std::nullopt;
  const auto& aliases = found->catalogued->aliases();
  const auto version = aliases.find(std::string(alias));
  if (version == aliases.end()) return std::nullopt;
  return version->second;
}

std::optional<TrafficChoice> TrafficPolicy::Choose(const FleetSnapshot& fleet,
                                                   const v1::Route& route, const CallTraits& call,
                                                   uint64_t random) {
  const auto rule = std::find_if(route.rules().begin(), route.rules().end(),
                                 [&](const auto& candidate) { return Matches(candidate, call); });
  if (rule == route.rules().end()) return std::nullopt;
  const uint64_t hash = SideOf(*rule, call);
  const auto canary =
      rule->has_canary() ? PickCanary(fleet, route, rule->canary(), hash) : std::nullopt;
  const auto target = canary ? canary : Pick(fleet, route, *rule, hash);
  if (!target) return std::nullopt;
  TrafficChoice choice{.target = *target};
  if (rule->has_canary()) choice.trial = TrialSide{&*rule, canary.has_value()};
  if (rule->has_shadow() && random % kHundred < rule->shadow().percent()) {
    choice.shadow = TrafficPolicy::Resolve(fleet, route, rule->shadow().target());
  }
  return choice;
}

}  // namespace torchfleet::gateway
