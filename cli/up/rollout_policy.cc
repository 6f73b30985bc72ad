#include "cli/up/rollout_policy.h"

#include <algorithm>

namespace torchfleet::cli {

std::set<int64_t> RolloutPolicy::Decide(const std::vector<int64_t>& wanted,
                                        const std::set<int64_t>& serving,
                                        const std::set<int64_t>& complete) {
  if (wanted.empty()) running_.clear();
  for (const int64_t version : wanted) running_.try_emplace(version, false);
  for (auto& [version, served] : running_) served = served || serving.contains(version);
  const bool up = std::all_of(wanted.begin(), wanted.end(),
                              [&](int64_t version) { return complete.contains(version); });
  std::erase_if(running_, [&](const auto& entry) {
    const auto& [version, served] = entry;
    const bool is_wanted = std::find(wanted.begin(), wanted.end(), version) != wanted.end();
    return !is_wanted && (up || !served);
  });
  std::set<int64_t> versions;
  for (const auto& [version, served] : running_) versions.insert(version);
  return versions;
}

}  // namespace torchfleet::cli
