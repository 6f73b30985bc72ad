#include "gateway/forward/backend_group.h"

#include <algorithm>

namespace torchfleet::gateway {
namespace {

// How many that are no longer there are skipped.
constexpr size_t kNear = 8;

}  // namespace

BalanceChoice BackendGroup::Choose(Instant now, uint64_t random,
                                   const std::vector<const Backend*>& tried) const {
  return BalancePolicy::Choose(backends.size(), random, [&](size_t i) {
    const Backend& backend = *backends[i];
    BalanceCandidate candidate = backend.health().Candidate(now);
    candidate.tried = std::find(tried.begin(), tried.end(), &backend) != tried.end();
    return candidate;
  });
}

std::shared_ptr<const BackendGroup> BackendGroups::Of(const Route& route) {
  const FleetVersion* const version = route.of ? route.of->get() : nullptr;
  Entry& entry = groups_[version ? version->number : 0];
  const bool same = entry.group && entry.version == version && (!version || !entry.life.expired());
  if (same) return entry.group;
  const auto group = Make(route.addresses, entry.group.get());
  entry = {.version = version, .group = group};
  if (version) entry.life = *route.of;
  if (++made_ > groups_.size()) Sweep();
  return group;
}

std::shared_ptr<const BackendGroup> BackendGroups::Make(std::span<const std::string> addresses,
                                                        const BackendGroup* before) {
  const auto& table = table_.Get();
  auto made = std::make_shared<BackendGroup>();
  made->backends.reserve(addresses.size());
  // Both are in the same order, and usually a few have come, gone or changed.
  std::span<const std::shared_ptr<Backend>> left;
  if (before) left = before->backends;
  for (const std::string& address : addresses) {
    const auto near = left.first(std::min(left.size(), kNear));
    const auto same = std::find_if(near.begin(), near.end(), [&](const auto& backend) {
      return backend->address() == address && !backend->left();
    });
    if (same != near.end()) {
      made->backends.push_back(*same);
      left = left.subspan(static_cast<size_t>(same - near.begin()) + 1);
      continue;
    }
    const auto found = table->find(address);
    // Not there: it has left since the call was routed.
    if (found != table->end()) made->backends.push_back(found->second);
  }
  return made;
}

void BackendGroups::Sweep() {
  made_ = 0;
  absl::erase_if(groups_, [](const auto& group) {
    return group.second.version && group.second.life.expired();
  });
}

}  // namespace torchfleet::gateway
