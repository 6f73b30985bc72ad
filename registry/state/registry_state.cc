#include "registry/state/registry_state.h"

#include <fmt/format.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <set>

#include "base/status.h"
#include "registry/state/registration.h"

namespace torchfleet::registry {
namespace {

// Of this many workers it is known why they left.
constexpr size_t kMostReasons = 1000;
constexpr size_t kLongestReason = 256;

absl::Status LeaseEnded(const std::string& worker_id) {
  return absl::FailedPreconditionError(
      fmt::format("the lease of worker '{}' has ended; register anew", Clip(worker_id)));
}

}  // namespace

absl::Status RegistryState::Register(const v1::Worker& worker, uint64_t epoch,
                                     v1::WorkerState state, const v1::Load& load, Instant now) {
  RETURN_IF_ERROR(CheckRegistration(worker, state));
  const auto found = leases_.find(worker.worker_id());
  if (found != leases_.end() && found->second.endpoint.epoch() > epoch) {
    return absl::FailedPreconditionError(
        fmt::format("worker '{}' has registered anew meanwhile", Clip(worker.worker_id())));
  }
  Lease& lease = leases_[worker.worker_id()];
  *lease.endpoint.mutable_worker() = worker;
  lease.endpoint.set_epoch(epoch);
  lease.endpoint.set_state(state);
  *lease.endpoint.mutable_load() = load;
  lease.endpoint.set_ttl_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(options_.ttl)));
  const auto reason = reasons_.find(worker.worker_id());
  lease.endpoint.set_last_leave_reason(reason == reasons_.end() ? "" : reason->second);
  lease.ends = now + options_.ttl;
  Changed(worker.worker_id());
  return absl::OkStatus();
}

absl::Status RegistryState::CheckLease(const std::string& worker_id, uint64_t epoch) const {
  const auto found = leases_.find(worker_id);
  if (found == leases_.end()) {
    return LeaseEnded(worker_id);
  }
  if (found->second.endpoint.epoch() != epoch) {
    return absl::FailedPreconditionError(
        fmt::format("worker '{}' has epoch {} now, this is {}; register anew", Clip(worker_id),
                    found->second.endpoint.epoch(), epoch));
  }
  return absl::OkStatus();
}

absl::Status RegistryState::Renew(const std::string& worker_id, uint64_t epoch,
                                  v1::WorkerState state, const v1::Load& load, Instant now) {
  RETURN_IF_ERROR(CheckLease(worker_id, epoch));
  Lease& lease = leases_[worker_id];
  if (lease.ends <= now) return LeaseEnded(worker_id);
  RETURN_IF_ERROR(CheckRegistration(lease.endpoint.worker(), state));
  lease.ends = now + options_.ttl;
  const bool same_load =
      google::protobuf::util::MessageDifferencer::Equals(lease.endpoint.load(), load);
  if (lease.endpoint.state() == state && same_load) return absl::OkStatus();
  lease.endpoint.set_state(state);
  *lease.endpoint.mutable_load() = load;
  Changed(worker_id);
  return absl::OkStatus();
}

absl::Status RegistryState::Leave(const std::string& worker_id, uint64_t epoch,
                                  const std::string& reason) {
  RETURN_IF_ERROR(CheckLease(worker_id, epoch));
  KeepReason(worker_id, Clip(reason, kLongestReason));
  Remove(worker_id);
  return absl::OkStatus();
}

void RegistryState::KeepReason(const std::string& worker_id, const std::string& reason) {
  if (reasons_.erase(worker_id) > 0) std::erase(with_reason_, worker_id);
  if (reason.empty()) return;
  reasons_[worker_id] = reason;
  with_reason_.push_back(worker_id);
  if (with_reason_.size() <= kMostReasons) return;
  reasons_.erase(with_reason_.front());
  with_reason_.pop_front();
}

std::vector<std::string> RegistryState::Expire(Instant now) {
  std::vector<std::string> gone;
  for (const auto& [worker_id, lease] : leases_) {
    if (lease.ends <= now) gone.push_back(worker_id);
  }
  for (const std::string& worker_id : gone) Remove(worker_id);
  return gone;
}

Instant RegistryState::NextExpiry() const {
  Instant next = Instant::Infinite();
  for (const auto& [worker_id, lease] : leases_) next = std::min(next, lease.ends);
  return next;
}

size_t RegistryState::CountInState(v1::WorkerState state) const {
  return static_cast<size_t>(std::count_if(leases_.begin(), leases_.end(), [&](const auto& entry) {
    return entry.second.endpoint.state() == state;
  }));
}

void RegistryState::Changed(const std::string& worker_id) {
  ++revision_;
  log_.push_back(worker_id);
  if (log_.size() > options_.log_capacity) log_.pop_front();
}

void RegistryState::Remove(const std::string& worker_id) {
  leases_.erase(worker_id);
  Changed(worker_id);
}

v1::WatchResponse RegistryState::Since(const std::string& incarnation,
                                       uint64_t after_revision) const {
  v1::WatchResponse response;
  response.set_incarnation(options_.incarnation);
  response.set_revision(revision_);
  const bool resumable = incarnation == options_.incarnation && after_revision <= revision_ &&
                         revision_ - after_revision <= log_.size();
  if (!resumable) {
    auto* snapshot = response.mutable_snapshot();
    for (const auto& [worker_id, lease] : leases_) *snapshot->add_endpoints() = lease.endpoint;
    return response;
  }
  auto* delta = response.mutable_delta();
  const auto first = log_.end() - static_cast<std::ptrdiff_t>(revision_ - after_revision);
  for (const std::string& worker_id : std::set<std::string>(first, log_.end())) {
    const auto found = leases_.find(worker_id);
    if (found == leases_.end()) {
      delta->add_removed(worker_id);
    } else {
      *delta->add_updated() = found->second.endpoint;
    }
  }
  return response;
}

}  // namespace torchfleet::registry
