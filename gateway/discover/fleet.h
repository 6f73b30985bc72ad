#pragma once
// What the registry has said of the fleet, and what of it still holds.
//
// A registry that comes back with another incarnation has forgotten what it
// knew; its empty snapshot does not mean an empty fleet. Endpoints that such a
// snapshot does not name are kept for one lease more, counted from the
// snapshot: no lease ended while the registry was away, and a worker that lives
// announces itself again within one. If it goes away before that is over, they are
// kept until it is back, and for a lease from then. A worker with the same worker_id or the
// same address replaces what was kept; one that the registry says is gone goes.
// The catalogue is durable: what a snapshot of it does not name is gone.
//
// A version whose last endpoint has left stays known for kRemembered, so that
// its callers read "nobody is ready", not "no such model", while a worker is
// being replaced.
//
// What a change costs depends on what it changes and not on the fleet: models,
// versions and endpoints that it leaves alone are shared with the snapshot before.
//
// Pure: time comes in as a value. Not thread-safe.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "gateway/discover/fleet_edits.h"
#include "gateway/discover/fleet_snapshot.h"

namespace torchfleet::gateway {

class Fleet {
 public:
  static constexpr absl::Duration kRemembered = absl::Minutes(5);

  // What came of it.
  struct Outcome {
    // The registry forgot what it knew.
    bool new_incarnation = false;
    // Endpoints kept although the new incarnation does not name them.
    size_t kept = 0;
    FleetChange change = {};
  };

  Outcome Apply(const registry::v1::WatchResponse& response, Instant now);

  // The registry is heard, as it is at first, or is not.
  void SetHeard(bool heard, Instant now);

  // Lets go of what has been kept long enough. `gone`: how many endpoints and
  // versions that was.
  struct Expired {
    size_t gone = 0;
    FleetChange change = {};
  };
  Expired Expire(Instant now);
  // When Expire next has something to do.
  std::optional<Instant> NextExpiry() const;

  const FleetSnapshot& Snapshot() const { return edits_.snapshot(); }
  // Which life of the registry the last word was from.
  const std::string& incarnation() const { return incarnation_; }
  // Whether there are endpoints that it does not name.
  bool keeps() const { return !kept_.empty(); }

 private:
  struct Member {
    std::shared_ptr<const registry::v1::Endpoint> endpoint;
    // Infinite while the registry names it.
    Instant kept_until = Instant::Infinite();
  };
  using Members = absl::flat_hash_map<std::string, Member>;
  // Model and version.
  using VersionKey = std::pair<std::string, std::string>;

  size_t Replace(const registry::v1::WatchResponse::Snapshot& snapshot, bool forgot, Instant now);
  void ReplaceCatalogue(const registry::v1::WatchResponse::Snapshot& snapshot);
  void Change(const registry::v1::WatchResponse::Delta& delta, Instant now);
  void SetModel(const registry::v1::Model& model);
  void SetRoute(const registry::v1::Route& route);
  void Update(const registry::v1::Endpoint& endpoint, Instant now);
  void SetCondition(const registry::v1::WatchResponse::Condition& condition);
  void Put(std::shared_ptr<const registry::v1::Endpoint> endpoint);
  void Keep(Member& member, const std::string& worker_id, Instant until);
  void Remove(const std::string& worker_id, Instant now);
  // The version is known without a worker until then.
  void Remember(const VersionKey& version, Instant until);
  FleetChange Commit();

  bool seen_ = false;
  bool heard_ = true;
  std::string incarnation_;
  Members members_;
  // Who is said to be at an address: usually one.
  absl::flat_hash_map<std::string, std::set<std::string>> by_address_;
  // Of those that the registry no longer names.
  std::set<std::pair<Instant, std::string>> kept_;
  // Versions that have lost an endpoint, and until when they stay known
  // without one.
  std::map<VersionKey, Instant> remembered_;
  std::set<std::pair<Instant, VersionKey>> forgetting_;
  // Addresses where something has changed since the last Commit.
  std::set<std::string> touched_;
  FleetEdits edits_;
};

}  // namespace torchfleet::gateway
