#pragma once
// What this registry knows of the catalogue, kept current by the store, and who
// waits for it to know more.
//
// Lifecycle: made shared, since the store's callbacks keep it; Follow once, Stop
// before the store goes. Thread-safe; calls nobody while it holds mu_.

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "registry/catalogue/rules/catalogue_view.h"
#include "registry/store/store.h"

namespace torchfleet::registry {

class CatalogueFollower : public StoreListener,
                          public std::enable_shared_from_this<CatalogueFollower> {
 public:
  using Then = std::function<void(absl::Status)>;

  explicit CatalogueFollower(Store& store) : store_(store) {}

  void Follow() { store_.Follow(*this); }
  // Nothing is heard any more; those who wait get CANCELLED.
  void Stop();

  Store& store() { return store_; }

  // OK once all is known that was acknowledged before the call; UNAVAILABLE when
  // the store is away.
  void WhenCurrent(Then then);
  // OK when anything is known at all.
  absl::Status Seen() const;

  // `read` on the view, under the lock.
  template <typename Read>
  auto With(const Read& read) const {
    const std::lock_guard lock(mu_);
    return read(view_);
  }

  void OnItems(std::span<const Item> catalogue, std::span<const Item> live,
               const Position& position) override;
  void OnEvents(Space space, std::span<const Item> events, uint64_t revision) override;
  void OnAvailable(bool available) override;

 private:
  using Waiting = std::multimap<uint64_t, Then>;

  void WaitFor(uint64_t revision, Then then);
  // Takes out those who need not wait for more than the revision.
  std::vector<Then> Reached(uint64_t revision) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void LogUnreadable() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Answers all who wait.
  void Refuse(const absl::Status& status);

  Store& store_;

  mutable std::mutex mu_;
  CatalogueView view_ ABSL_GUARDED_BY(mu_);
  bool seen_ ABSL_GUARDED_BY(mu_) = false;
  bool available_ ABSL_GUARDED_BY(mu_) = true;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t revision_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t logged_unreadable_ ABSL_GUARDED_BY(mu_) = 0;
  // By the revision that they wait for.
  Waiting waiting_ ABSL_GUARDED_BY(mu_);
};

}  // namespace torchfleet::registry
