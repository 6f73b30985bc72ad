#pragma once
// What an embedded store knows, and what changes do to it: both spaces, leases
// and revisions. Pure: no threads, no clock.
//
// Two counters: the position's revision counts the commits and the ends of
// leases of both spaces and is also what live items get; catalogue items get a
// count of their own, which a durable store carries on after a restart.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "registry/store/key_table.h"
#include "registry/store/lease_table.h"

namespace torchfleet::registry {

class KeySpace {
 public:
  // Where a life begins.
  struct Beginning {
    uint64_t revision = 0;
    uint64_t catalogue_revision = 0;
    std::vector<Item> catalogue = {};
  };

  struct Change {
    Space space = Space::kCatalogue;
    // None when nothing has changed.
    std::vector<Item> events = {};
    // Of the position after it.
    uint64_t revision = 0;
  };

  struct Outcome {
    // Of the commit; where it changed nothing, of the last one of its space.
    uint64_t revision = 0;
    Change change = {};
  };

  explicit KeySpace(Beginning beginning);

  // As Store's.
  absl::StatusOr<Outcome> Commit(Transaction transaction);
  absl::StatusOr<LeaseId> Grant(absl::Duration ttl, Instant now);
  absl::Status Renew(LeaseId lease, Instant now);
  absl::StatusOr<Change> Revoke(LeaseId lease);

  // Ends the leases whose time is over, a change for each that held keys.
  std::vector<Change> EndLeases(Instant now);
  Instant NextEnd() const { return leases_.NextEnd(); }

  // Of the position.
  uint64_t revision() const { return revision_; }
  std::vector<Item> Items(Space space) const;

 private:
  Change End(LeaseId lease);
  std::vector<Item> Apply(Transaction transaction, uint64_t revision);

  KeyTable catalogue_, live_;
  LeaseTable leases_;
  uint64_t revision_;
  uint64_t catalogue_revision_;
};

}  // namespace torchfleet::registry
