#include "registry/front/worker_session.h"

#include <fmt/format.h>

#include "base/log.h"
#include "base/status.h"
#include "registry/front/sessions.h"
#include "registry/state/keys.h"
#include "registry/state/registration.h"

namespace torchfleet::registry {
namespace {

// Why a worker left or failed is cut to so much.
constexpr size_t kLongestReason = 256;

Value Bytes(const google::protobuf::MessageLite& message) {
  return std::make_shared<const std::string>(message.SerializeAsString());
}

v1::AnnounceResponse Renewed() {
  v1::AnnounceResponse response;
  response.mutable_renewed();
  return response;
}

}  // namespace

WorkerSession::WorkerSession(Sessions& sessions, Push push)
    : sessions_(sessions), push_(std::move(push)) {}

void WorkerSession::Ask(const v1::AnnounceRequest& request, Answer answer) {
  const bool registered = epoch_ != 0;
  if (request.has_register_()) {
    if (registered) {
      return answer(
          absl::InvalidArgumentError("register came twice; it is a stream's first message only"));
    }
    return Register(request.register_(), std::move(answer));
  }
  if (!request.has_renew() && !request.has_leave()) {
    return answer(
        absl::InvalidArgumentError("the message holds nothing; expected register, renew or leave"));
  }
  if (!registered) {
    return answer(absl::InvalidArgumentError("the stream's first message must be register"));
  }
  if (request.has_renew()) return Renew(request.renew(), std::move(answer));
  Leave(request.leave(), std::move(answer));
}

// Of a registration or a renewal.
template <typename Said>
v1::WatchResponse::Condition WorkerSession::ConditionOf(const Said& said) const {
  v1::WatchResponse::Condition condition;
  condition.set_worker_id(worker_id_);
  condition.set_state(said.state());
  condition.set_drain_phase(said.drain_phase());
  condition.set_reason(Clip(said.reason(), kLongestReason));
  return condition;
}

void WorkerSession::Register(const v1::AnnounceRequest::Register& registration, Answer answer) {
  const v1::Worker& worker = registration.worker();
  if (absl::Status wrong = CheckRegistration(worker, registration.state()); !wrong.ok()) {
    return answer(wrong);
  }
  worker_id_ = worker.worker_id();
  worker_ = Bytes(worker);
  const v1::WatchResponse::Condition condition = ConditionOf(registration);
  written_ = {Bytes(condition), Bytes(registration.load()), registration.state()};
  sessions_.store().Grant(sessions_.options().ttl,
                          [self = shared_from_this(), answer](absl::StatusOr<LeaseId> lease) {
                            if (!lease.ok()) return answer(lease.status());
                            self->lease_ = *lease;
                            self->CommitRegistration(answer);
                          });
}

void WorkerSession::CommitRegistration(const Answer& answer) {
  Transaction transaction{.space = Space::kLive,
                          .writes = {{Key(kWorkers, worker_id_), worker_, lease_},
                                     {Key(kConditions, worker_id_), written_.condition, lease_},
                                     {Key(kLoads, worker_id_), written_.load, lease_}}};
  // A wish that stands moves to the new lease, or it would end with the old one.
  if (Value wish = sessions_.fleet().Read(
          [&](const FleetState& state) { return state.DrainWish(worker_id_); })) {
    transaction.writes.push_back({Key(kDrains, worker_id_), std::move(wish), lease_});
  }
  sessions_.store().Commit(std::move(transaction), [self = shared_from_this(),
                                                    answer](const absl::StatusOr<uint64_t>& epoch) {
    if (!epoch.ok()) {
      self->sessions_.store().Revoke(self->lease_, [](const absl::Status&) {});
      return answer(self->Refusal(epoch.status()));
    }
    self->Registered(*epoch, answer);
  });
}

void WorkerSession::Registered(uint64_t epoch, const Answer& answer) {
  epoch_ = epoch;
  ++sessions_.counters().registrations;
  v1::Worker worker;
  worker.ParseFromString(*worker_);
  LogInfo("worker registered", {{"worker", worker_id_},
                                {"model", worker.model()},
                                {"version", worker.version()},
                                {"address", worker.address()},
                                {"epoch", epoch}});
  v1::AnnounceResponse response;
  response.mutable_registered()->set_epoch(epoch);
  response.mutable_registered()->set_ttl_ms(
      static_cast<uint32_t>(absl::ToInt64Milliseconds(sessions_.options().ttl)));
  sessions_.Add(worker_id_, shared_from_this());
  answer(response);
  answered_ = true;
  // A wish that came before this was not pushed, or is seen here.
  sessions_.PushDrains({worker_id_});
}

void WorkerSession::PushDrain(const v1::DrainRequest& wish) {
  // The answer to its registration comes first.
  if (!answered_ || told_to_drain_.exchange(true)) return;
  LogInfo("worker is told to drain",
          {{"worker", worker_id_}, {"actor", Clip(wish.actor(), kLongestReason)}});
  v1::AnnounceResponse response;
  response.mutable_drain()->set_actor(wish.actor());
  push_(response);
}

absl::Status WorkerSession::CheckEpoch(uint64_t epoch) const {
  if (epoch != epoch_) {
    return absl::FailedPreconditionError(
        fmt::format("worker '{}' registered on this stream with epoch {}, this is {}; register "
                    "anew",
                    Clip(worker_id_), epoch_, epoch));
  }
  const auto now =
      sessions_.fleet().Read([&](const FleetState& state) { return state.Find(worker_id_); });
  if (!now) return Refusal(absl::NotFoundError("gone"));
  if (now->epoch != epoch) return Refusal(absl::AbortedError("taken over"));
  return absl::OkStatus();
}

absl::Status WorkerSession::Refusal(const absl::Status& status) const {
  if (absl::IsNotFound(status)) {
    return absl::FailedPreconditionError(
        fmt::format("the lease of worker '{}' has ended; register anew", Clip(worker_id_)));
  }
  if (absl::IsAborted(status)) {
    return absl::FailedPreconditionError(
        fmt::format("a newer registration of worker '{}' has taken over from epoch {}; register "
                    "anew",
                    Clip(worker_id_), epoch_));
  }
  return status;
}

Transaction WorkerSession::OnMyEpoch() const {
  return {.space = Space::kLive, .conditions = {{Key(kWorkers, worker_id_), epoch_}}};
}

void WorkerSession::Renew(const v1::AnnounceRequest::Renew& renew, Answer answer) {
  if (absl::Status refused = CheckEpoch(renew.epoch()); !refused.ok()) {
    ++sessions_.counters().refused;
    return answer(refused);
  }
  if (absl::Status wrong = CheckState(renew.state()); !wrong.ok()) return answer(wrong);
  const v1::WatchResponse::Condition condition = ConditionOf(renew);
  ++sessions_.counters().renewals;
  sessions_.store().Renew(lease_, [self = shared_from_this(), answer,
                                   now = Condition{Bytes(condition), Bytes(renew.load()),
                                                   renew.state()}](const absl::Status& renewed) {
    if (!renewed.ok()) return answer(self->Refusal(renewed));
    self->WriteChanges(now, answer);
  });
}

void WorkerSession::WriteChanges(const Condition& now, const Answer& answer) {
  Transaction transaction = OnMyEpoch();
  if (*now.condition != *written_.condition) {
    transaction.writes.push_back({Key(kConditions, worker_id_), now.condition, lease_});
  }
  if (*now.load != *written_.load) {
    if (sessions_.loads()) {
      sessions_.loads()->Put({worker_id_, epoch_, lease_, now.load});
    } else {
      transaction.writes.push_back({Key(kLoads, worker_id_), now.load, lease_});
    }
  }
  if (transaction.writes.empty()) {
    written_ = now;
    return answer(Renewed());
  }
  sessions_.store().Commit(std::move(transaction), [self = shared_from_this(), now, answer](
                                                       const absl::StatusOr<uint64_t>& committed) {
    if (!committed.ok()) return answer(self->Refusal(committed.status()));
    self->written_ = now;
    answer(Renewed());
  });
}

void WorkerSession::Leave(const v1::AnnounceRequest::Leave& leave, Answer answer) {
  if (absl::Status refused = CheckEpoch(leave.epoch()); !refused.ok()) {
    ++sessions_.counters().refused;
    return answer(refused);
  }
  std::string reason = Clip(leave.reason(), kLongestReason);
  if (reason.empty()) return CommitLeave("", 0, answer);
  sessions_.store().Grant(sessions_.options().left_stays, [self = shared_from_this(), reason,
                                                           answer](absl::StatusOr<LeaseId> lease) {
    if (!lease.ok()) return answer(lease.status());
    self->CommitLeave(reason, *lease, answer);
  });
}

void WorkerSession::CommitLeave(const std::string& reason, LeaseId left_lease,
                                const Answer& answer) {
  Transaction transaction = OnMyEpoch();
  for (const std::string_view kind : {kWorkers, kConditions, kLoads, kDrains}) {
    transaction.writes.push_back({Key(kind, worker_id_)});
  }
  Value why = reason.empty() ? nullptr : std::make_shared<const std::string>(reason);
  transaction.writes.push_back({Key(kLeft, worker_id_), std::move(why), left_lease});
  sessions_.store().Commit(std::move(transaction), [self = shared_from_this(), reason, answer](
                                                       const absl::StatusOr<uint64_t>& committed) {
    if (!committed.ok()) return answer(self->Refusal(committed.status()));
    self->left_ = true;
    ++self->sessions_.counters().leaves;
    if (!reason.empty()) {
      LogWarning("worker left",
                 {{"worker", self->worker_id_}, {"epoch", self->epoch_}, {"reason", reason}});
    }
    self->sessions_.store().Revoke(self->lease_, [](const absl::Status&) {});
    answer(Renewed());
  });
}

Value WorkerSession::Disconnected() const {
  v1::WatchResponse::Condition condition;
  condition.ParseFromString(*written_.condition);
  condition.set_disconnected(true);
  return Bytes(condition);
}

void WorkerSession::StreamEnded() {
  if (epoch_ == 0) return;
  sessions_.Remove(worker_id_, *this);
  if (left_ || sessions_.stopping()) return;
  ++sessions_.counters().broken;
  if (written_.state == v1::WORKER_STATE_FAILED) return StayFailed();
  Transaction transaction = OnMyEpoch();
  transaction.writes.push_back({Key(kConditions, worker_id_), Disconnected(), lease_});
  // Whatever becomes of it: the lease ends in time.
  sessions_.store().Commit(std::move(transaction), [](const absl::StatusOr<uint64_t>&) {});
}

void WorkerSession::StayFailed() {
  sessions_.store().Grant(sessions_.options().failed_stays, [self = shared_from_this()](
                                                                absl::StatusOr<LeaseId> lease) {
    if (!lease.ok()) return;
    const std::string& id = self->worker_id_;
    Transaction transaction = self->OnMyEpoch();
    // It counts as a new registration: nobody renews the old one any more.
    transaction.writes = {{Key(kWorkers, id), self->worker_, *lease},
                          {Key(kConditions, id), self->Disconnected(), *lease},
                          {Key(kLoads, id), self->written_.load, *lease}};
    self->sessions_.store().Commit(
        std::move(transaction), [self, lease = *lease](const absl::StatusOr<uint64_t>& committed) {
          const LeaseId unused = committed.ok() ? self->lease_ : lease;
          self->sessions_.store().Revoke(unused, [](const absl::Status&) {});
        });
  });
}

}  // namespace torchfleet::registry
