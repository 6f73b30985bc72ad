#include "registry/catalogue/catalogue_follower.h"

#include <utility>

#include "base/log.h"

namespace torchfleet::registry {
namespace {

absl::Status Away() {
  return absl::UnavailableError(
      "the registry's store cannot be reached; try again later, or read what may be old with "
      "allow_stale");
}

}  // namespace

void CatalogueFollower::Stop() {
  store_.Unfollow(*this);
  {
    const std::lock_guard lock(mu_);
    stopped_ = true;
  }
  Refuse(absl::CancelledError("the registry stops"));
}

void CatalogueFollower::WhenCurrent(Then then) {
  store_.Latest(
      [self = shared_from_this(), then = std::move(then)](absl::StatusOr<uint64_t> latest) mutable {
        if (!latest.ok()) return then(latest.status());
        self->WaitFor(*latest, std::move(then));
      });
}

absl::Status CatalogueFollower::Seen() const {
  const std::lock_guard lock(mu_);
  if (seen_) return absl::OkStatus();
  return absl::UnavailableError("this registry has not read its store yet; try again later");
}

void CatalogueFollower::WaitFor(uint64_t revision, Then then) {
  absl::Status status;
  {
    const std::lock_guard lock(mu_);
    if (stopped_) {
      status = absl::CancelledError("the registry stops");
    } else if (!seen_ || revision_ < revision) {
      if (available_) {
        waiting_.emplace(revision, std::move(then));
        return;
      }
      status = Away();
    }
  }
  then(status);
}

std::vector<CatalogueFollower::Then> CatalogueFollower::Reached(uint64_t revision) {
  std::vector<Then> reached;
  const auto end = waiting_.upper_bound(revision);
  for (auto it = waiting_.begin(); it != end; ++it) reached.push_back(std::move(it->second));
  waiting_.erase(waiting_.begin(), end);
  return reached;
}

void CatalogueFollower::LogUnreadable() {
  if (view_.unreadable() > logged_unreadable_) {
    LogError("the store holds values that are no models, routes or changes; they are left out",
             {{"values", static_cast<int64_t>(view_.unreadable())}});
  }
  logged_unreadable_ = view_.unreadable();
}

void CatalogueFollower::Refuse(const absl::Status& status) {
  Waiting waiting;
  {
    const std::lock_guard lock(mu_);
    waiting.swap(waiting_);
  }
  for (const auto& [_, then] : waiting) then(status);
}

void CatalogueFollower::OnItems(std::span<const Item> catalogue, std::span<const Item>,
                                const Position& position) {
  std::vector<Then> reached;
  {
    const std::lock_guard lock(mu_);
    view_.Replace(catalogue);
    seen_ = true;
    revision_ = position.revision;
    LogUnreadable();
    reached = Reached(revision_);
  }
  for (const Then& then : reached) then(absl::OkStatus());
}

void CatalogueFollower::OnEvents(Space space, std::span<const Item> events, uint64_t revision) {
  std::vector<Then> reached;
  {
    const std::lock_guard lock(mu_);
    if (space == Space::kCatalogue) {
      view_.Apply(events);
      LogUnreadable();
    }
    revision_ = revision;
    reached = Reached(revision);
  }
  for (const Then& then : reached) then(absl::OkStatus());
}

void CatalogueFollower::OnAvailable(bool available) {
  {
    const std::lock_guard lock(mu_);
    available_ = available;
  }
  if (!available) Refuse(Away());
}

}  // namespace torchfleet::registry
