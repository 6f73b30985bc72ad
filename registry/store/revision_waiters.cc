#include "registry/store/revision_waiters.h"

#include <algorithm>
#include <vector>

namespace torchfleet::registry {

void RevisionWaiters::Reach(uint64_t revision) {
  // One at a time: who goes on may add.
  while (!waiting_.empty() && waiting_.begin()->first <= revision) {
    const Done done = std::move(waiting_.begin()->second.done);
    waiting_.erase(waiting_.begin());
    done(absl::OkStatus());
  }
}

void RevisionWaiters::GiveUp(Instant before, const absl::Status& status) {
  std::vector<Done> late;
  for (auto i = waiting_.begin(); i != waiting_.end();) {
    if (i->second.since < before) {
      late.push_back(std::move(i->second.done));
      i = waiting_.erase(i);
    } else {
      ++i;
    }
  }
  for (const Done& done : late) done(status);
}

bool RevisionWaiters::AnyBefore(Instant moment) const {
  return std::ranges::any_of(waiting_,
                             [&](const auto& entry) { return entry.second.since < moment; });
}

}  // namespace torchfleet::registry
