#pragma once
// The backends that a route leads to, by index: what a call chooses from.
//
// Looked up by address when a version's endpoints have changed, and then only those
// that have; not for each call, nor for each snapshot of the fleet. BackendGroups is
// one loop's and only on its thread; a group is a value that calls keep.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "gateway/balance/balance_policy.h"
#include "gateway/balance/hash_policy.h"
#include "gateway/balance/hash_ring.h"
#include "gateway/discover/fleet_snapshot.h"
#include "gateway/forward/backend.h"
#include "gateway/route/route_policy.h"

namespace torchfleet::gateway {

// What keeps a call at a worker.
struct StickyKey {
  uint64_t hash = 0;
  // How many times the mean a worker may have of such calls.
  double most_load = 1;
};

struct BackendGroup {
  // Those of the gateway's own zone first.
  std::vector<std::shared_ptr<Backend>> backends;
  // How many these are; 0 where the gateway has no zone.
  size_t near = 0;
  // By worker_id; only where calls have keys.
  std::shared_ptr<const HashRing> ring;
  mutable MeanLoad mean_load;

  // For another attempt of a call that has tried `tried`.
  BalanceChoice Choose(Instant now, uint64_t random, const std::vector<const Backend*>& tried,
                       const std::optional<StickyKey>& key = std::nullopt) const;
};

class BackendGroups {
 public:
  // `zone`: whose workers come first; empty: nobody's.
  explicit BackendGroups(const Snapshot<BackendTable::Table>& table, std::string zone = {})
      : table_(table), zone_(std::move(zone)) {}

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
  std::shared_ptr<const BackendGroup> Make(const Route& route, const BackendGroup* before);
  // Adds the endpoints that are in the gateway's zone, or those that are not, and the
  // hashes of their names to `names`.
  void Add(const Route& route, bool near, std::span<const std::shared_ptr<Backend>> before,
           BackendGroup& group, std::vector<uint64_t>& names);
  // Groups of versions that are gone.
  void Sweep();

  SnapshotView<BackendTable::Table> table_;
  const std::string zone_;
  // By the version's number; 0 is a fixed worker's.
  absl::flat_hash_map<uint64_t, Entry> groups_;
  size_t made_ = 0;
};

}  // namespace torchfleet::gateway
