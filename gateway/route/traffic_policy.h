#pragma once
// Which version of which model a call goes to, where its model has a route.
//
// The first rule whose matches all hold decides. Of several targets one is
// picked by weight, by a hash of the caller that is the same in every gateway and
// in every life of it (FNV-1a, then the finaliser of splitmix64), so that a caller
// stays on its side; when weights shift, only as many callers move as must. A
// target none of whose workers takes calls leaves its share to the others of its
// rule.
//
// A canary takes its share from all targets alike: by another hash of the same
// caller and of the version on trial, so that callers who come to it stay while the
// share grows, the others stay where they are, and each version has other callers
// first. When none of its workers takes calls the targets have all.
//
// Pure: a function of a snapshot of the fleet and of the call.

#include <cstdint>
#include <optional>
#include <string_view>

#include "gateway/discover/fleet_snapshot.h"

namespace torchfleet::gateway {

// What a rule may ask of a call.
class CallTraits {
 public:
  virtual ~CallTraits() = default;
  // A header field, by its name in lower case.
  virtual std::optional<std::string_view> Header(std::string_view name) const = 0;
  // A parameter of the request, as text.
  virtual std::optional<std::string_view> Parameter(std::string_view name) const = 0;
  // Who calls, where nothing in the call says so: the same for all calls of one
  // connection.
  virtual uint64_t connection() const = 0;
};

// A version of a model; no version is the latest that takes calls. Borrows from
// the snapshot.
struct TrafficTarget {
  std::string_view model;
  std::string_view version;
};

// The call is counted for a canary or for the targets beside it.
struct TrialSide {
  // Borrowed from the snapshot.
  const registry::v1::RouteRule* rule = nullptr;
  bool canary = false;
};

struct TrafficChoice {
  TrafficTarget target;
  // Where the rule has a canary.
  std::optional<TrialSide> trial = std::nullopt;
  // Where a copy goes.
  std::optional<TrafficTarget> shadow = std::nullopt;
};

class TrafficPolicy {
 public:
  // Nothing when no rule matches. `random`: which of a hundred calls are copied.
  static std::optional<TrafficChoice> Choose(const FleetSnapshot& fleet,
                                             const registry::v1::Route& route,
                                             const CallTraits& call, uint64_t random);

  // The version that an alias of a catalogued model names; nothing for none.
  static std::optional<std::string_view> VersionOf(const FleetSnapshot& fleet,
                                                   std::string_view model, std::string_view alias);

  // How many per cent of its rule's calls a canary is to get now.
  static uint32_t ShareOf(const registry::v1::RouteCanary& canary);
  // What a target of the route stands for; nothing for an alias that has gone.
  static std::optional<TrafficTarget> Resolve(const FleetSnapshot& fleet,
                                              const registry::v1::Route& route,
                                              const registry::v1::RouteTarget& target);

  // Stable over gateways and time.
  static uint64_t Hash(std::string_view text);
};

}  // namespace torchfleet::gateway
