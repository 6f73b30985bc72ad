#include "registry/store/etcd_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <utility>

#include "absl/strings/str_join.h"
#include "base/log.h"
#include "registry/store/transaction_rules.h"

namespace torchfleet::registry {

namespace {

// How often those who wait are looked after, and the age at which a tick helps.
constexpr absl::Duration kLook = absl::Milliseconds(100);
constexpr absl::Duration kTickAge = absl::Milliseconds(50);

// A change that was on its way when its answer was lost.
absl::Status MayHaveHappened(const absl::Status& status) {
  if (!absl::IsUnavailable(status)) return status;
  return absl::UnavailableError(
      fmt::format("{}; the change may have happened", std::string(status.message())));
}

}  // namespace

EtcdSession::EtcdSession(const EtcdAddress& address, const Clock& clock)
    : clock_(clock),
      keys_(address.prefix),
      prefix_(address.prefix),
      members_(absl::StrJoin(address.members, ",")),
      loop_(clock),
      calls_(loop_, clock, address.members),
      mirror_(loop_, calls_, keys_, *this),
      keep_alive_(loop_, calls_, clock) {
  loop_.Post([this] { mirror_.Start(); });
}

EtcdSession::~EtcdSession() {
  std::promise<void> idle;
  // Asks again after each task: what ends is itself a task.
  std::function<void()> wait = [&] {
    if (mirror_.idle() && keep_alive_.idle() && calls_.under_way() == 0) {
      idle.set_value();
    } else {
      loop_.After(absl::Milliseconds(1), wait);
    }
  };
  loop_.Post([&] {
    stopping_ = true;
    mirror_.Stop();
    keep_alive_.Stop();
    calls_.Cancel();
    waiters_.GiveUp(Instant::Infinite(), absl::CancelledError("the store closes"));
    wait();
  });
  idle.get_future().wait();
  loop_.Stop();
}

absl::Status EtcdSession::WaitOpen(absl::Duration limit) {
  std::unique_lock lock(mu_);
  changed_.wait_for(lock, absl::ToChronoNanoseconds(limit), [&] { return open_; });
  if (open_) return absl::OkStatus();
  return absl::UnavailableError(
      fmt::format("the store in etcd at {} could not be read within {}: {}; expected a member that "
                  "can be reached, of a cluster with a leader",
                  members_, absl::FormatDuration(limit),
                  last_error_.ok() ? "nobody has answered" : std::string(last_error_.message())));
}

void EtcdSession::Commit(Transaction transaction, Store::Committed done) {
  loop_.Post([this, transaction = std::move(transaction), done = std::move(done)] {
    auto request = ToEtcd(transaction, keys_);
    if (!request.ok() || stopping_) {
      done(stopping_ ? absl::CancelledError("the store closes") : request.status());
      return;
    }
    calls_.Txn(*std::move(request), [this, transaction, done](auto response) {
      OnCommitted(transaction, done, std::move(response));
    });
  });
}

void EtcdSession::OnCommitted(const Transaction& transaction, const Store::Committed& done,
                              absl::StatusOr<etcdserverpb::TxnResponse> response) {
  if (!response.ok()) {
    done(Explain(MayHaveHappened(response.status())));
    return;
  }
  const auto revision = static_cast<uint64_t>(response->header().revision());
  if (!response->succeeded()) {
    // Whoever tries again then knows what stood in the way.
    Await(revision,
          [done, why = WhyAborted(transaction, *response)](const absl::Status&) { done(why); });
    return;
  }
  const bool changed = ChangedSomething(*response);
  Await(revision, [this, done, changed, revision](const absl::Status& status) {
    if (!status.ok()) {
      done(Explain(MayHaveHappened(status)));
    } else {
      done(changed ? revision : told_);
    }
  });
}

void EtcdSession::Grant(absl::Duration ttl, Store::Granted done) {
  loop_.Post([this, ttl, done = std::move(done)] {
    if (stopping_) return done(absl::CancelledError("the store closes"));
    etcdserverpb::LeaseGrantRequest request;
    request.set_ttl(std::max<int64_t>(1, absl::ToInt64Seconds(absl::Ceil(ttl, absl::Seconds(1)))));
    calls_.Grant(std::move(request), [this, done](auto response) {
      if (!response.ok()) return done(Explain(response.status()));
      done(response->id());
    });
  });
}

void EtcdSession::Renew(LeaseId lease, Store::Done done) {
  loop_.Post([this, lease, done = std::move(done)] {
    if (stopping_) return done(absl::CancelledError("the store closes"));
    keep_alive_.Renew(lease, done);
  });
}

void EtcdSession::Revoke(LeaseId lease, Store::Done done) {
  loop_.Post([this, lease, done = std::move(done)] {
    if (stopping_) return done(absl::CancelledError("the store closes"));
    etcdserverpb::LeaseRevokeRequest request;
    request.set_id(lease);
    calls_.Revoke(std::move(request), [this, lease, done](auto response) {
      if (absl::IsNotFound(response.status())) return done(LeaseEnded(lease));
      if (!response.ok()) return done(Explain(MayHaveHappened(response.status())));
      Await(static_cast<uint64_t>(response->header().revision()),
            [this, done](const absl::Status& status) { done(Explain(MayHaveHappened(status))); });
    });
  });
}

void EtcdSession::Latest(Store::Committed done) {
  loop_.Post([this, done = std::move(done)] {
    if (stopping_) return done(absl::CancelledError("the store closes"));
    etcdserverpb::RangeRequest request;
    request.set_key(keys_.tick());
    request.set_count_only(true);
    calls_.Range(std::move(request), [this, done](auto response) {
      if (!response.ok()) return done(Explain(response.status()));
      Await(static_cast<uint64_t>(response->header().revision()),
            [this, done](const absl::Status& status) {
              if (!status.ok()) return done(Explain(status));
              done(told_);
            });
    });
  });
}

void EtcdSession::Follow(StoreListener& listener) {
  loop_.Run([&] {
    listeners_.push_back(&listener);
    TellItems(listener);
    if (!available_) listener.OnAvailable(false);
  });
}

void EtcdSession::Unfollow(StoreListener& listener) {
  loop_.Run([&] { std::erase(listeners_, &listener); });
}

void EtcdSession::TellItems(StoreListener& listener) const {
  const std::vector<Item> catalogue = mirror_.Items(Space::kCatalogue);
  const std::vector<Item> live = mirror_.Items(Space::kLive);
  listener.OnItems(
      catalogue, live,
      {.incarnation = fmt::format("{:016x}/{}", mirror_.cluster_id(), prefix_), .revision = told_});
}

// A listener may end its own following, or another's, in the middle.
template <typename Tell>
void EtcdSession::TellAll(Tell tell) {
  for (StoreListener* listener : std::vector(listeners_)) {
    if (std::ranges::find(listeners_, listener) != listeners_.end()) tell(*listener);
  }
}

void EtcdSession::OnListed() {
  told_ = mirror_.reached();
  TellAll([&](StoreListener& listener) { TellItems(listener); });
}

void EtcdSession::OnChanges(Space space, std::span<const Item> events, uint64_t revision) {
  told_ = revision;
  TellAll([&](StoreListener& listener) { listener.OnEvents(space, events, revision); });
}

void EtcdSession::OnReached(uint64_t revision) { waiters_.Reach(revision); }

void EtcdSession::OnWatching(bool watching, const absl::Status& why) {
  // Renewals need not wait for the other stream to find out.
  keep_alive_.Move();
  {
    const std::lock_guard lock(mu_);
    open_ = open_ || watching;
    last_error_ = why;
    changed_.notify_all();
  }
  if (watching == available_) return;
  available_ = watching;
  if (watching) {
    LogInfo("etcd is followed", {{"member", calls_.member().address}});
  } else {
    LogWarning("etcd is away; trying its members in turn", {{"status", why.ToString()}});
  }
  TellAll([&](StoreListener& listener) { listener.OnAvailable(watching); });
}

void EtcdSession::Await(uint64_t revision, RevisionWaiters::Done done) {
  if (revision <= mirror_.reached()) return done(absl::OkStatus());
  if (stopping_) return done(absl::CancelledError("the store closes"));
  waiters_.Add(revision, clock_.Now(), std::move(done));
  if (std::exchange(looking_, true)) return;
  loop_.After(kLook, [this] { LookAfterWaiters(); });
}

void EtcdSession::LookAfterWaiters() {
  const Instant now = clock_.Now();
  waiters_.GiveUp(now - kEtcdCallTimeout,
                  absl::UnavailableError("etcd's watch did not come by that revision in time"));
  looking_ = !waiters_.empty() && !stopping_;
  if (!looking_) return;
  if (waiters_.AnyBefore(now - kTickAge)) Tick();
  loop_.After(kLook, [this] { LookAfterWaiters(); });
}

void EtcdSession::Tick() {
  if (!mirror_.watching() || std::exchange(ticking_, true)) return;
  etcdserverpb::TxnRequest request;
  request.add_success()->mutable_request_put()->set_key(keys_.tick());
  calls_.Txn(std::move(request), [this](const auto&) { ticking_ = false; });
}

absl::Status EtcdSession::Explain(const absl::Status& status) const {
  if (status.ok() || !stopping_) return status;
  return absl::CancelledError("the store closes");
}

}  // namespace torchfleet::registry
