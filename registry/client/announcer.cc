#include "registry/client/announcer.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "registry/client/backoff.h"
#include "registry/client/lease_stream.h"
#include "registry/client/registry_channel.h"
#include "torchfleet/registry/v1/registry.grpc.pb.h"

namespace torchfleet::registry {
namespace {

// For the answer to a registration: a registry that just came back has many to
// answer.
constexpr absl::Duration kRegisterLimit = absl::Seconds(5);
constexpr absl::Duration kLeaveLimit = absl::Seconds(1);
// After a break, over which all workers spread.
constexpr absl::Duration kLongestSpread = absl::Seconds(5);

// It answers, but not as this worker would have it: another one would not either.
bool AnotherRegistryMayHelp(const grpc::Status& status) {
  return status.error_code() != grpc::StatusCode::FAILED_PRECONDITION &&
         status.error_code() != grpc::StatusCode::INVALID_ARGUMENT;
}

}  // namespace

// One thread that opens streams one after another and keeps each renewed.
class Announcer::Loop {
 public:
  Loop(const std::string& addresses, v1::Worker worker, Callbacks callbacks)
      : callbacks_(std::move(callbacks)),
        channel_(addresses, std::random_device{}()),
        backoff_(std::random_device{}()),
        worker_(std::move(worker)) {}

  void Start(v1::WorkerState state) {
    SetCondition({.state = state});
    thread_ = std::thread([this] { Run(); });
  }

  void SetCondition(WorkerCondition condition) {
    const std::lock_guard lock(mu_);
    if (news_ > 0 && condition == condition_) return;
    condition_ = std::move(condition);
    ++news_;
    changed_.notify_all();
  }

  void SetWorker(v1::Worker worker) {
    const std::lock_guard lock(mu_);
    if (google::protobuf::util::MessageDifferencer::Equals(worker, worker_)) return;
    worker_ = std::move(worker);
    anew_ = true;
    changed_.notify_all();
  }

  bool AwaitTold(absl::Duration limit) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, absl::ToChronoNanoseconds(limit),
                             [&] { return told_ == news_; });
  }

  void Leave(const std::string& reason) {
    std::unique_lock lock(mu_);
    if (!std::exchange(stopping_, true)) reason_ = reason;
    changed_.notify_all();
    if (thread_.joinable() &&
        !changed_.wait_for(lock, absl::ToChronoNanoseconds(kLeaveLimit), [&] { return ended_; })) {
      if (stream_) stream_->Cancel();
    }
  }

  void Abandon() {
    const std::lock_guard lock(mu_);
    stopping_ = silent_ = true;
    if (stream_) stream_->Cancel();
    changed_.notify_all();
  }

  void Stop() {
    Leave("");
    if (thread_.joinable()) thread_.join();
  }

 private:
  void Run() {
    while (true) {
      bool kept = false;
      const grpc::Status status = KeepLease(kept);
      std::unique_lock lock(mu_);
      if (stopping_) break;
      if (anew_ && kept) continue;
      if (AnotherRegistryMayHelp(status)) channel_.Failed();
      if (!said_) {
        LogWarning("not announced at the registry; serving on and trying again",
                   {{"status", std::string(status.error_message())}});
        said_ = true;
      }
      const absl::Duration wait =
          kept ? backoff_.Within(std::min(ttl_ / 5, kLongestSpread)) : backoff_.Next();
      changed_.wait_for(lock, absl::ToChronoNanoseconds(wait), [&] { return stopping_; });
      if (stopping_) break;
    }
    const std::lock_guard lock(mu_);
    ended_ = true;
    changed_.notify_all();
  }

  // One stream, from registration until it breaks or Stop; whether a lease came
  // of it.
  grpc::Status KeepLease(bool& kept) {
    v1::AnnounceRequest request;
    *request.mutable_register_()->mutable_load() = callbacks_.load();
    const auto stub = v1::RegistryService::NewStub(channel_.Get());
    std::unique_lock lock(mu_);
    *request.mutable_register_()->mutable_worker() = worker_;
    anew_ = false;
    LeaseStream stream(*stub, mu_, changed_);
    stream_ = &stream;
    request.mutable_register_()->set_state(condition_.state);
    request.mutable_register_()->set_drain_phase(condition_.drain_phase);
    request.mutable_register_()->set_reason(condition_.reason);
    const uint64_t news = news_;
    const auto response = stream.Ask(lock, std::move(request), kRegisterLimit);
    if (response && response->has_registered()) {
      kept = true;
      Told(news);
      LogInfo("announced at the registry",
              {{"registry", channel_.address()}, {"epoch", response->registered().epoch()}});
      backoff_.Reset();
      said_ = false;
      ttl_ = absl::Milliseconds(response->registered().ttl_ms());
      Renew(lock, stream, response->registered().epoch(), news);
    }
    const grpc::Status status = stream.End(lock);
    stream_ = nullptr;
    return status;
  }

  // `news`: what the registry knows already.
  void Renew(std::unique_lock<std::mutex>& lock, LeaseStream& stream, uint64_t epoch,
             uint64_t news) {
    while (!stream.broken()) {
      const absl::Duration interval = ttl_ / 3 - backoff_.Within(ttl_ / 15);
      changed_.wait_for(lock, absl::ToChronoNanoseconds(interval), [&] {
        return stopping_ || stream.broken() || anew_ || news_ != news || stream.has_wish();
      });
      if (const auto wish = stream.TakeWish(); wish && !stopping_) {
        HandOn(lock, *wish);
        continue;
      }
      if (stopping_) return SayLeave(lock, stream, epoch);
      // The lease passes over to the next registration.
      if (anew_) return;
      news = SayRenew(lock, stream, epoch);
    }
  }

  void HandOn(std::unique_lock<std::mutex>& lock, const v1::AnnounceResponse::Drain& wish) {
    lock.unlock();
    if (callbacks_.on_drain) callbacks_.on_drain(wish.actor());
    lock.lock();
  }

  void SayLeave(std::unique_lock<std::mutex>& lock, LeaseStream& stream, uint64_t epoch) {
    if (silent_) return stream.Cancel();
    v1::AnnounceRequest request;
    request.mutable_leave()->set_epoch(epoch);
    request.mutable_leave()->set_reason(reason_);
    stream.Ask(lock, std::move(request), kLeaveLimit);
  }

  // Which news it told.
  uint64_t SayRenew(std::unique_lock<std::mutex>& lock, LeaseStream& stream, uint64_t epoch) {
    v1::AnnounceRequest request;
    auto& renew = *request.mutable_renew();
    renew.set_epoch(epoch);
    lock.unlock();
    *renew.mutable_load() = callbacks_.load();
    lock.lock();
    const uint64_t news = news_;
    renew.set_state(condition_.state);
    renew.set_drain_phase(condition_.drain_phase);
    renew.set_reason(condition_.reason);
    // Another registry may still take the lease over before it ends.
    const absl::Duration limit = channel_.several() ? ttl_ / 3 : ttl_;
    if (stream.Ask(lock, std::move(request), limit)) Told(news);
    return news;
  }

  void Told(uint64_t news) {
    told_ = news;
    changed_.notify_all();
  }

  const Callbacks callbacks_;
  // Only on the loop's thread.
  RegistryChannel channel_;
  Backoff backoff_;
  absl::Duration ttl_ = absl::ZeroDuration();
  bool said_ = false;

  std::mutex mu_;
  std::condition_variable changed_;
  WorkerCondition condition_ ABSL_GUARDED_BY(mu_);
  v1::Worker worker_ ABSL_GUARDED_BY(mu_);
  // It is to be registered anew.
  bool anew_ ABSL_GUARDED_BY(mu_) = false;
  std::string reason_ ABSL_GUARDED_BY(mu_);
  // Conditions that were set, and which of them the registry has taken note of.
  uint64_t news_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t told_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  // It stops without leaving.
  bool silent_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  LeaseStream* stream_ ABSL_GUARDED_BY(mu_) = nullptr;
  std::thread thread_;
};

Announcer::Announcer(const std::string& registry_addresses, v1::Worker worker, Callbacks callbacks)
    : loop_(std::make_unique<Loop>(registry_addresses, std::move(worker), std::move(callbacks))) {}

Announcer::~Announcer() { Stop(); }
void Announcer::Start(v1::WorkerState state) { loop_->Start(state); }
void Announcer::SetCondition(WorkerCondition condition) {
  loop_->SetCondition(std::move(condition));
}
bool Announcer::AwaitTold(absl::Duration limit) { return loop_->AwaitTold(limit); }
void Announcer::SetWorker(v1::Worker worker) { loop_->SetWorker(std::move(worker)); }
void Announcer::Leave(const std::string& reason) { loop_->Leave(reason); }
void Announcer::Abandon() { loop_->Abandon(); }
void Announcer::Stop() { loop_->Stop(); }

}  // namespace torchfleet::registry
