#pragma once
// The backends that a route leads to, by index: what a call chooses from.
//
// Looked up by address when a version's endpoints have changed, and then only those
// that have; not for each call, nor for each snapshot of the fleet. BackendGroups is
// one loop's and only on its thread; a group is a value that calls keep.

#include <cstdint>
#include <memory>
#include <span>
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

  // Of a route whose snapshot the caller holds.
  std::shared_ptr<const BackendGroup> Of(const Route& route);

 private:
  struct Entry {
    // Not held: what has left the fleet is to end. What lies where it lay is it, as
    // long as it has not expired.
    const FleetVersion* version = nullptr;
    std::weak_ptr<const FleetVersion> life = {};
    std::shared_ptr<const BackendGroup> group = nullptr;
  };

  // `before`: of the same version, to take from what is still right.
  std::shared_ptr<const BackendGroup> Make(std::span<const std::string> addresses,
                                           const BackendGroup* before);
  // Groups of versions that are gone.
  void Sweep();

  SnapshotView<BackendTable::Table> table_;
  // By the version's number; 0 is a fixed worker's.
  absl::flat_hash_map<uint64_t, Entry> groups_;
  size_t made_ = 0;
};

}  // namespace torchfleet::gateway
