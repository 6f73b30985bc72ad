#include "gateway/forward/backend_group.h"

#include <algorithm>

namespace torchfleet::gateway {

BalanceChoice BackendGroup::Choose(Instant now, uint64_t random,
                                   const std::vector<const Backend*>& tried) const {
  return BalancePolicy::Choose(backends.size(), random, [&](size_t i) {
    const Backend& backend = *backends[i];
    BalanceCandidate candidate = backend.health().Candidate(now);
    candidate.tried = std::find(tried.begin(), tried.end(), &backend) != tried.end();
    return candidate;
  });
}

std::shared_ptr<const BackendGroup> BackendGroups::Of(
    const std::shared_ptr<const FleetSnapshot>& fleet, const Route& route) {
  const auto& table = table_.Get();
  if (fleet != of_fleet_ || table != of_table_) {
    groups_.clear();
    of_fleet_ = fleet;
    of_table_ = table;
  }
  auto& group = groups_[route.addresses.data()];
  if (!group) {
    auto made = std::make_shared<BackendGroup>();
    for (const std::string& address : route.addresses) {
      const auto found = table->find(address);
      // Not there: it has left since the call was routed.
      if (found != table->end()) made->backends.push_back(found->second);
    }
    group = std::move(made);
  }
  return group;
}

}  // namespace torchfleet::gateway
