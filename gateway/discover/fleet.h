#pragma once
// What the registry has said of the fleet, and what of it still holds.
//
// A registry that comes back with another incarnation has forgotten what it
// knew; its empty snapshot does not mean an empty fleet. Endpoints that such a
// snapshot does not name are kept for one lease more, counted from the
// snapshot: no lease ended while the registry was away, and a worker that lives
// announces itself again within one. A worker with the same worker_id or the
// same address replaces what was kept; one that the registry says is gone goes.
//
// A version whose last endpoint has left stays known for kRemembered, so that
// its callers read "nobody is ready", not "no such model", while a worker is
// being replaced.
//
// Pure: time comes in as a value. Not thread-safe.

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "base/clock.h"
#include "gateway/discover/fleet_snapshot.h"

namespace torchfleet::gateway {

class Fleet {
 public:
  static constexpr absl::Duration kRemembered = absl::Minutes(5);

  // What an operator should read in the log about it.
  struct Outcome {
    // The registry forgot what it knew.
    bool new_incarnation = false;
    // Endpoints kept although the new incarnation does not name them.
    size_t kept = 0;
  };

  Outcome Apply(const registry::v1::WatchResponse& response, Instant now);

  // Lets go of what has been kept long enough. Returns how many endpoints and
  // versions that was.
  size_t Expire(Instant now);
  // When Expire next has something to do.
  std::optional<Instant> NextExpiry() const;

  FleetSnapshot Snapshot() const;

 private:
  struct Member {
    registry::v1::Endpoint endpoint;
    // Set when the registry no longer names it.
    std::optional<Instant> kept_until;
  };
  using Members = std::map<std::string, Member>;
  // Model and version.
  using VersionKey = std::pair<std::string, std::string>;

  Outcome Replace(const registry::v1::WatchResponse::Snapshot& snapshot, bool forgot, Instant now);
  void Update(const registry::v1::Endpoint& endpoint, Instant now);
  Members::iterator Remove(Members::iterator member, Instant now);

  bool seen_ = false;
  std::string incarnation_;
  Members members_;
  // Versions that have lost an endpoint, and until when they stay known
  // without one.
  std::map<VersionKey, Instant> remembered_;
};

}  // namespace torchfleet::gateway
