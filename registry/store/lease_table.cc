#include "registry/store/lease_table.h"

namespace torchfleet::registry {

LeaseId LeaseTable::Grant(absl::Duration ttl, Instant now) {
  const LeaseId lease = ++last_;
  leases_.emplace(lease, Lease{.ttl = ttl, .end = now + ttl});
  ends_.emplace(now + ttl, lease);
  return lease;
}

bool LeaseTable::Renew(LeaseId lease, Instant now) {
  const auto found = leases_.find(lease);
  if (found == leases_.end()) return false;
  auto end = ends_.extract({found->second.end, lease});
  found->second.end = now + found->second.ttl;
  end.value().first = found->second.end;
  ends_.insert(std::move(end));
  return true;
}

void LeaseTable::Attach(LeaseId lease, const std::string& key) {
  if (const auto found = leases_.find(lease); found != leases_.end()) {
    found->second.keys.insert(key);
  }
}

void LeaseTable::Detach(LeaseId lease, const std::string& key) {
  if (const auto found = leases_.find(lease); found != leases_.end()) {
    found->second.keys.erase(key);
  }
}

std::set<std::string> LeaseTable::End(LeaseId lease) {
  auto ended = leases_.extract(lease);
  if (ended.empty()) return {};
  ends_.erase({ended.mapped().end, lease});
  return std::move(ended.mapped().keys);
}

std::vector<LeaseId> LeaseTable::Ended(Instant now) const {
  std::vector<LeaseId> ended;
  for (const auto& [end, lease] : ends_) {
    if (end > now) break;
    ended.push_back(lease);
  }
  return ended;
}

Instant LeaseTable::NextEnd() const {
  return ends_.empty() ? Instant::Infinite() : ends_.begin()->first;
}

}  // namespace torchfleet::registry
