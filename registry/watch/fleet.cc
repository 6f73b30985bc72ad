#include "registry/watch/fleet.h"

#include "base/log.h"

namespace torchfleet::registry {

void Fleet::OnItems(std::span<const Item> catalogue, std::span<const Item> live,
                    const Position& position) {
  FleetNews news;
  {
    const std::lock_guard lock(mu_);
    news = state_.Replace(catalogue, live, position);
  }
  Tell(/*urgent=*/true, news);
}

void Fleet::OnEvents(Space space, std::span<const Item> events, uint64_t revision) {
  FleetNews news;
  bool urgent = false;
  {
    const std::lock_guard lock(mu_);
    news = state_.Apply(space, events, revision);
    urgent = state_.urgent() == revision;
  }
  Tell(urgent, news);
}

void Fleet::Tell(bool urgent, const FleetNews& news) {
  listener_->OnChange(urgent);
  if (!news.wishes.empty()) listener_->OnDrainWishes(news.wishes);
  gone_ += news.gone.size();
  for (const std::string& worker_id : news.gone) LogInfo("worker is gone", {{"worker", worker_id}});
}

void Fleet::OnAvailable(bool available) {
  {
    const std::lock_guard lock(mu_);
    if (available != away_since_.has_value()) return;
    if (available) {
      away_since_.reset();
      LogInfo("the store is there again");
    } else {
      away_since_ = clock_.Now();
      LogWarning("the store is away; what is known of the fleet stands");
    }
  }
  listener_->OnAvailable(available);
}

bool Fleet::known() const {
  return Read([](const FleetState& state) { return !state.position().incarnation.empty(); });
}

std::optional<Instant> Fleet::away_since() const {
  const std::lock_guard lock(mu_);
  return away_since_;
}

}  // namespace torchfleet::registry
