#pragma once
// Leases, when each ends, and which keys hang on it. Pure.
//
// Renewing and finding the next end are O(log n).

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "registry/store/store.h"

namespace torchfleet::registry {

class LeaseTable {
 public:
  // No id is given twice. Ids begin after `last`.
  explicit LeaseTable(LeaseId last) : last_(last) {}

  LeaseId Grant(absl::Duration ttl, Instant now);
  // False when it has ended, as below.
  bool Renew(LeaseId lease, Instant now);
  bool Has(LeaseId lease) const { return leases_.contains(lease); }

  // For a lease that is there; nothing happens to others.
  void Attach(LeaseId lease, const std::string& key);
  void Detach(LeaseId lease, const std::string& key);

  // Forgets the lease; the keys that hung on it, sorted.
  std::set<std::string> End(LeaseId lease);

  // Those whose time is over, the oldest end first.
  std::vector<LeaseId> Ended(Instant now) const;
  // When the next one ends; Infinite when there is none.
  Instant NextEnd() const;

 private:
  struct Lease {
    absl::Duration ttl;
    Instant end;
    std::set<std::string> keys = {};
  };

  LeaseId last_;
  std::map<LeaseId, Lease> leases_;
  std::set<std::pair<Instant, LeaseId>> ends_;
};

}  // namespace torchfleet::registry
