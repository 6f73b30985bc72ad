#pragma once
// Decides which endpoints may answer a call for a model.
//
// Pure: a function of a snapshot of the fleet and of what the caller asked for.

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gateway/discover/fleet_snapshot.h"
#include "gateway/route/call_rules.h"
#include "gateway/route/traffic_policy.h"

namespace torchfleet::gateway {

// Names and versions over this many bytes are nobody's.
inline constexpr size_t kMaxNameBytes = 256;
// As many digits as a 64-bit number has.
inline constexpr size_t kMaxVersionDigits = 20;
// What callers of a model that is known but not ready are told to wait.
inline constexpr absl::Duration kRetryDelay = absl::Seconds(1);

// Where a call may go. Borrows from the snapshot it was chosen from; before a
// fixed worker, from the names that were asked for.
struct Route {
  std::string_view model = {};
  std::string_view version = {};
  // At least one.
  std::span<const std::string> addresses = {};
  // Whose they are; null before one fixed worker.
  const std::shared_ptr<const FleetVersion>* of = nullptr;
  // It is not what the request itself names: the worker has to be told.
  bool redirected = false;
  // How the call is sent, as the route of the model says that was asked for,
  // wherever it leads.
  CallRules calls = {};
  // Where a copy of the call goes.
  std::optional<TrafficTarget> shadow = std::nullopt;
  // For which side of a trial it counts.
  std::optional<TrialSide> trial = std::nullopt;
};

// A call of which rules know nothing.
class PlainCall : public CallTraits {
 public:
  std::optional<std::string_view> Header(std::string_view) const override { return std::nullopt; }
  std::optional<std::string_view> Parameter(std::string_view) const override {
    return std::nullopt;
  }
  uint64_t connection() const override { return 0; }
};
inline const PlainCall kPlainCall;

class RoutePolicy {
 public:
  // A version is a number or an alias of the catalogue. No version asked for
  // means: as the model's route says (TrafficPolicy), else the highest that is
  // READY.
  //
  // INVALID_ARGUMENT for what cannot be a name or a version; NOT_FOUND for a
  // model or version that nobody knows; UNAVAILABLE with a delay for one that
  // is known, by its workers or the catalogue, but has no endpoint READY.
  static absl::StatusOr<Route> Choose(const FleetSnapshot& fleet, std::string_view model,
                                      std::string_view version, const CallTraits& call = kPlainCall,
                                      uint64_t random = 0);

  // Where a rule's target leads. NOT_FOUND and UNAVAILABLE as above.
  static absl::StatusOr<Route> To(const FleetSnapshot& fleet, const TrafficTarget& target);

  // INVALID_ARGUMENT naming the field at fault.
  static absl::Status CheckName(std::string_view model, std::string_view version);
};

}  // namespace torchfleet::gateway
