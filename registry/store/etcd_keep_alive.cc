#include "registry/store/etcd_keep_alive.h"

#include "registry/store/transaction_rules.h"

namespace torchfleet::registry {

namespace {
constexpr absl::Duration kReopen = absl::Milliseconds(100);
constexpr absl::Duration kLook = absl::Seconds(1);
}  // namespace

void EtcdKeepAlive::Renew(LeaseId lease, Done done) {
  waiting_.push_back({.lease = lease, .since = clock_.Now(), .done = std::move(done)});
  // What waits for a stream goes out when it opens.
  if (stream_) {
    Ask(lease);
  } else if (waiting_.size() == 1) {
    Open();
  }
  if (!watching_) {
    watching_ = true;
    loop_.After(kLook, [this] { Watch(); });
  }
}

void EtcdKeepAlive::Move() {
  if (stream_ && &calls_.member() != member_) stream_->Cancel();
}

void EtcdKeepAlive::Stop() {
  stopping_ = true;
  if (stream_) stream_->Cancel();
  for (const Renewal& renewal : std::exchange(waiting_, {})) {
    renewal.done(absl::CancelledError("the store closes"));
  }
}

void EtcdKeepAlive::Open() {
  if (stopping_ || stream_ || waiting_.empty()) return;
  EtcdCalls::Member& member = calls_.member();
  member_ = &member;
  stream_ = std::make_shared<Stream>(
      loop_, [this](const etcdserverpb::LeaseKeepAliveResponse& answer) { OnAnswer(answer); },
      [this, &member](const grpc::Status& status) { OnEnd(FromEtcd(status, member.address)); });
  DemandLeader(stream_->context());
  stream_->Open([&](grpc::ClientContext& context, Stream::Reactor* reactor) {
    member.lease->async()->LeaseKeepAlive(&context, reactor);
  });
  for (const Renewal& renewal : waiting_) Ask(renewal.lease);
}

void EtcdKeepAlive::Ask(LeaseId lease) {
  etcdserverpb::LeaseKeepAliveRequest request;
  request.set_id(lease);
  stream_->Write(std::move(request));
}

void EtcdKeepAlive::OnAnswer(const etcdserverpb::LeaseKeepAliveResponse& answer) {
  if (stopping_) return;
  if (waiting_.empty() || waiting_.front().lease != answer.id()) {
    // Nothing that follows could be told apart.
    stream_->Cancel();
    return;
  }
  const Renewal renewal = std::move(waiting_.front());
  waiting_.pop_front();
  renewal.done(answer.ttl() > 0 ? absl::OkStatus() : LeaseEnded(renewal.lease));
}

void EtcdKeepAlive::OnEnd(const absl::Status& status) {
  stream_ = nullptr;
  last_error_ = status;
  if (!stopping_) loop_.After(kReopen, [this] { Open(); });
}

void EtcdKeepAlive::Watch() {
  watching_ = false;
  const Instant limit = clock_.Now() - kEtcdCallTimeout;
  bool late = false;
  while (!waiting_.empty() && waiting_.front().since < limit) {
    late = true;
    const Renewal renewal = std::move(waiting_.front());
    waiting_.pop_front();
    renewal.done(absl::UnavailableError(last_error_.ok()
                                            ? "etcd did not answer a renewal in time"
                                            : "etcd did not answer a renewal; before that: " +
                                                  std::string(last_error_.message())));
  }
  // The answer to what has been given up must not be taken for another's.
  if (late && stream_) stream_->Cancel();
  if (waiting_.empty() || stopping_) return;
  watching_ = true;
  loop_.After(kLook, [this] { Watch(); });
}

}  // namespace torchfleet::registry
