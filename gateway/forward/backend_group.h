#pragma once
// The backends that a route leads to, by index: what a call chooses from.
//
// Looked up by address once for each snapshot of the fleet and not for each
// call. BackendGroups is one loop's and only on its thread; a group is a value
// that calls keep.

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "gateway/balance/balance_policy.h"
#include "gateway/discover/fleet_snapshot.h"
#include "gateway/forward/backend.h"
#include "gateway/route/route_policy.h"

namespace torchfleet::gateway {

struct BackendGroup {
  std::vector<std::shared_ptr<Backend>> backends;

  // For another attempt of a call that has tried `tried`.
  BalanceChoice Choose(Instant now, uint64_t random,
                       const std::vector<const Backend*>& tried) const;
};

class BackendGroups {
 public:
  explicit BackendGroups(const Snapshot<BackendTable::Table>& table) : table_(table) {}

  // Of a route that was chosen from `fleet`.
  std::shared_ptr<const BackendGroup> Of(const std::shared_ptr<const FleetSnapshot>& fleet,
                                         const Route& route);

 private:
  SnapshotView<BackendTable::Table> table_;
  // Of which snapshots the groups are; held, so that no other takes their place.
  std::shared_ptr<const FleetSnapshot> of_fleet_;
  std::shared_ptr<const BackendTable::Table> of_table_;
  // By where the route's addresses lie.
  absl::flat_hash_map<const std::string*, std::shared_ptr<const BackendGroup>> groups_;
};

}  // namespace torchfleet::gateway
