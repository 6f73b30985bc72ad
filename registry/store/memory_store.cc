#include "registry/store/memory_store.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/time/clock.h"
#include "base/ids.h"
#include "base/log.h"

namespace torchfleet::registry {

KeySpace::Beginning MemoryStore::NewLife() {
  const auto now = static_cast<uint64_t>(absl::ToUnixMicros(absl::Now()));
  return {.revision = now, .catalogue_revision = now};
}

MemoryStore::MemoryStore(const Clock& clock, KeySpace::Beginning beginning)
    : clock_(clock),
      incarnation_(RandomId()),
      keys_(std::move(beginning)),
      awake_(clock.Now()),
      lease_thread_([this] { RunLeases(); }) {}

MemoryStore::~MemoryStore() {
  {
    const std::lock_guard lock(mu_);
    stopping_ = true;
  }
  changed_.notify_all();
  lease_thread_.join();
}

void MemoryStore::Commit(Transaction transaction, Committed done) {
  {
    const std::lock_guard lock(mu_);
    auto outcome = keys_.Commit(std::move(transaction));
    KeySpace::Change change;
    if (outcome.ok()) change = std::move(outcome->change);
    const auto answer = outcome.ok() ? absl::StatusOr<uint64_t>(outcome->revision)
                                     : absl::StatusOr<uint64_t>(outcome.status());
    deliveries_.Tell(std::move(change), [done = std::move(done), answer] { done(answer); });
  }
  deliveries_.Deliver();
}

void MemoryStore::Grant(absl::Duration ttl, Granted done) {
  absl::StatusOr<LeaseId> lease;
  {
    const std::lock_guard lock(mu_);
    lease = keys_.Grant(ttl, awake_.At(clock_.Now()));
  }
  done(std::move(lease));
}

void MemoryStore::Renew(LeaseId lease, Done done) {
  absl::Status status;
  {
    const std::lock_guard lock(mu_);
    status = keys_.Renew(lease, awake_.At(clock_.Now()));
  }
  done(std::move(status));
}

void MemoryStore::Revoke(LeaseId lease, Done done) {
  {
    const std::lock_guard lock(mu_);
    auto change = keys_.Revoke(lease);
    absl::Status status = change.status();
    deliveries_.Tell(change.ok() ? *std::move(change) : KeySpace::Change(),
                     [done = std::move(done), status = std::move(status)] { done(status); });
  }
  deliveries_.Deliver();
}

void MemoryStore::Latest(Committed done) { done(revision()); }

void MemoryStore::Follow(StoreListener& listener) {
  {
    const std::lock_guard lock(mu_);
    deliveries_.Add(listener, {.catalogue = keys_.Items(Space::kCatalogue),
                               .live = keys_.Items(Space::kLive),
                               .position = {incarnation_, keys_.revision()}});
  }
  deliveries_.Deliver();
}

void MemoryStore::Unfollow(StoreListener& listener) { deliveries_.Remove(listener); }

uint64_t MemoryStore::revision() const {
  const std::lock_guard lock(mu_);
  return keys_.revision();
}

void MemoryStore::RunLeases() {
  absl::Duration slept_so_far;
  std::unique_lock lock(mu_);
  while (!stopping_) {
    const Instant now = awake_.At(clock_.Now());
    for (KeySpace::Change& change : keys_.EndLeases(now)) {
      deliveries_.Tell(std::move(change), nullptr);
    }
    const absl::Duration slept = awake_.slept() - std::exchange(slept_so_far, awake_.slept());
    const absl::Duration left = std::min(keys_.NextEnd() - now, AwakeTime::kPulse);
    lock.unlock();
    if (slept > absl::ZeroDuration()) {
      LogWarning("the registry was stopped; leases last longer by that",
                 {{"stopped_for", absl::FormatDuration(slept)}});
    }
    deliveries_.Deliver();
    lock.lock();
    // On the steady clock, which nobody sets. A lease that began meanwhile and is
    // over before ends at most a pulse late.
    if (!stopping_) changed_.wait_for(lock, absl::ToChronoNanoseconds(left));
  }
}

}  // namespace torchfleet::registry
