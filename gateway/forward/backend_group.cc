#include "gateway/forward/backend_group.h"

#include <algorithm>

namespace torchfleet::gateway {
namespace {

// How many that are no longer there are skipped.
constexpr size_t kNear = 8;

}  // namespace

BalanceChoice BackendGroup::Choose(Instant now, uint64_t random,
                                   const std::vector<const Backend*>& tried,
                                   const std::optional<StickyKey>& key) const {
  const auto read = [&](size_t i) {
    const Backend& backend = *backends[i];
    BalanceCandidate candidate = backend.health().Candidate(now);
    candidate.tried = std::find(tried.begin(), tried.end(), &backend) != tried.end();
    return candidate;
  };
  if (key && ring && ring->size() > 0) {
    const auto mean = [&] { return mean_load.Get(now, backends.size(), read); };
    const auto owner = HashPolicy::Choose(*ring, key->hash, key->most_load, read, mean);
    if (owner) return {.index = owner};
  }
  if (near > 0 && near < backends.size()) {
    const auto home = std::span(backends).first(near);
    // Beside one that is slow the call may stay.
    const bool leave =
        !tried.empty() && tried.back()->health().Candidate(now).standing == Standing::kAside &&
        std::any_of(home.begin(), home.end(),
                    [&](const auto& backend) { return backend.get() == tried.back(); });
    return BalancePolicy::ChooseNear(backends.size(), near, leave, random, read);
  }
  return BalancePolicy::Choose(backends.size(), random, read);
}

std::shared_ptr<const BackendGroup> BackendGroups::Of(const Route& route) {
  const FleetVersion* const version = route.of ? route.of->get() : nullptr;
  Entry& entry = groups_[version ? version->number : 0];
  const bool same = entry.group && entry.version == version && (!version || !entry.life.expired());
  if (same && (entry.group->ring || !route.calls.sticky())) return entry.group;
  const auto group = Make(route, entry.group.get());
  entry = {.version = version, .group = group};
  if (version) entry.life = *route.of;
  if (++made_ > groups_.size()) Sweep();
  return group;
}

std::shared_ptr<const BackendGroup> BackendGroups::Make(const Route& route,
                                                        const BackendGroup* before) {
  auto made = std::make_shared<BackendGroup>();
  made->backends.reserve(route.addresses.size());
  std::span<const std::shared_ptr<Backend>> left;
  if (before) left = before->backends;
  const size_t near_before = before ? before->near : 0;
  std::vector<uint64_t> names;
  if (!zone_.empty()) {
    Add(route, /*near=*/true, left.first(near_before), *made, names);
    made->near = made->backends.size();
  }
  Add(route, /*near=*/false, left.subspan(near_before), *made, names);
  if (!route.calls.sticky()) return made;
  const bool same_names = before && before->ring && before->ring->names() == names;
  made->ring = same_names ? before->ring : std::make_shared<const HashRing>(std::move(names));
  return made;
}

void BackendGroups::Add(const Route& route, bool near,
                        std::span<const std::shared_ptr<Backend>> before, BackendGroup& group,
                        std::vector<uint64_t>& names) {
  const auto& table = table_.Get();
  for (size_t i = 0; i < route.addresses.size(); ++i) {
    const auto* const endpoint = route.of ? (*route.of)->ready_endpoints[i] : nullptr;
    const bool is_near = !zone_.empty() && endpoint && endpoint->worker().zone() == zone_;
    if (is_near != near) continue;
    const std::string& address = route.addresses[i];
    const size_t had = group.backends.size();
    // Both are in the same order, and usually a few have come, gone or changed.
    const auto nearby = before.first(std::min(before.size(), kNear));
    const auto same = std::find_if(nearby.begin(), nearby.end(), [&](const auto& backend) {
      return backend->address() == address && !backend->left();
    });
    if (same != nearby.end()) {
      group.backends.push_back(*same);
      before = before.subspan(static_cast<size_t>(same - nearby.begin()) + 1);
    } else if (const auto found = table->find(address); found != table->end()) {
      group.backends.push_back(found->second);
    }
    // Not there: it has left since the call was routed.
    if (group.backends.size() == had || !route.calls.sticky()) continue;
    names.push_back(TrafficPolicy::Hash(endpoint ? endpoint->worker().worker_id() : address));
  }
}

void BackendGroups::Sweep() {
  made_ = 0;
  absl::erase_if(groups_, [](const auto& group) {
    return group.second.version && group.second.life.expired();
  });
}

}  // namespace torchfleet::gateway
