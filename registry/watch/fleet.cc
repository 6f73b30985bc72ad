#include "registry/watch/fleet.h"

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "base/status.h"

namespace torchfleet::registry {

Fleet::Fleet(RegistryState::Options options, const Clock& clock, EpochCounter& store)
    : clock_(clock), store_(store), state_(std::move(options)) {
  lease_thread_ = std::thread([this] { EndLeases(); });
}

Fleet::~Fleet() {
  {
    const std::lock_guard lock(mu_);
    stopping_ = true;
  }
  lease_begun_.notify_all();
  lease_thread_.join();
}

absl::StatusOr<uint64_t> Fleet::Register(const v1::Worker& worker, v1::WorkerState state,
                                         const v1::Load& load) {
  ASSIGN_OR_RETURN(const uint64_t epoch, store_.NextEpoch());
  {
    const std::lock_guard lock(mu_);
    RETURN_IF_ERROR(state_.Register(worker, epoch, state, load, clock_.Now()));
    ++figures_.registrations;
  }
  lease_begun_.notify_all();
  Tell();
  LogInfo("worker registered", {{"worker", worker.worker_id()},
                                {"model", worker.model()},
                                {"version", worker.version()},
                                {"address", worker.address()},
                                {"epoch", epoch}});
  return epoch;
}

absl::StatusOr<uint64_t> Fleet::Renew(const std::string& worker_id,
                                      const v1::AnnounceRequest::Renew& renew) {
  uint64_t before = 0, after = 0;
  {
    const std::lock_guard lock(mu_);
    before = state_.revision();
    RETURN_IF_ERROR(
        state_.Renew(worker_id, renew.epoch(), renew.state(), renew.load(), clock_.Now()));
    after = state_.revision();
    ++figures_.renewals;
  }
  if (after != before) Tell();
  return after;
}

absl::StatusOr<uint64_t> Fleet::Leave(const std::string& worker_id,
                                      const v1::AnnounceRequest::Leave& leave) {
  uint64_t after = 0;
  {
    const std::lock_guard lock(mu_);
    RETURN_IF_ERROR(state_.Leave(worker_id, leave.epoch(), leave.reason()));
    after = state_.revision();
  }
  Tell();
  if (leave.reason().empty()) {
    LogInfo("worker left", {{"worker", worker_id}, {"epoch", leave.epoch()}});
  } else {
    LogWarning("worker left", {{"worker", worker_id},
                               {"epoch", leave.epoch()},
                               {"reason", Clip(leave.reason(), kMaxErrorText)}});
  }
  return after;
}

absl::Duration Fleet::ttl() const {
  const std::lock_guard lock(mu_);
  return state_.ttl();
}

v1::WatchResponse Fleet::Since(const std::string& incarnation, uint64_t after_revision) const {
  const std::lock_guard lock(mu_);
  return state_.Since(incarnation, after_revision);
}

uint64_t Fleet::revision() const {
  const std::lock_guard lock(mu_);
  return state_.revision();
}

FleetFigures Fleet::figures() const {
  const std::lock_guard lock(mu_);
  FleetFigures figures = figures_;
  figures.revision = state_.revision();
  figures.starting = state_.CountInState(v1::WORKER_STATE_STARTING);
  figures.ready = state_.CountInState(v1::WORKER_STATE_READY);
  figures.draining = state_.CountInState(v1::WORKER_STATE_DRAINING);
  figures.watchers = listeners_.size();
  return figures;
}

void Fleet::Subscribe(std::shared_ptr<FleetListener> listener) {
  const std::lock_guard lock(mu_);
  listeners_.push_back(std::move(listener));
}

void Fleet::Unsubscribe(const FleetListener* listener) {
  const std::lock_guard lock(mu_);
  std::erase_if(listeners_, [&](const auto& held) { return held.get() == listener; });
}

void Fleet::Tell() {
  std::vector<std::shared_ptr<FleetListener>> listeners;
  {
    const std::lock_guard lock(mu_);
    listeners = listeners_;
  }
  for (const auto& listener : listeners) listener->OnChange();
}

void Fleet::EndLeases() {
  std::unique_lock lock(mu_);
  while (!stopping_) {
    const Instant next = state_.NextExpiry();
    if (next == Instant::Infinite()) {
      lease_begun_.wait(lock);
    } else if (const absl::Duration left = next - clock_.Now(); left > absl::ZeroDuration()) {
      lease_begun_.wait_for(lock, absl::ToChronoNanoseconds(left));
    }
    const std::vector<std::string> gone = state_.Expire(clock_.Now());
    if (gone.empty()) continue;
    figures_.expired += gone.size();
    lock.unlock();
    for (const std::string& worker_id : gone) LogWarning("lease ended", {{"worker", worker_id}});
    Tell();
    lock.lock();
  }
}

}  // namespace torchfleet::registry
