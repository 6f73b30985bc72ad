#include "registry/client/announcer.h"

#include <google/protobuf/util/message_differencer.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "registry/client/backoff.h"
#include "registry/client/channel.h"
#include "torchfleet/registry/v1/registry.grpc.pb.h"

namespace torchfleet::registry {

namespace {

// One lease's stream. A read is always under way, so a stream that breaks is
// noticed at once and not at the next renewal.
//
// Lifecycle: made open; End once, before destruction. Shares the loop's lock,
// and wakes its waiters on every answer and at the end. Its functions need the
// lock, its reactions take it.
class LeaseStream : public grpc::ClientBidiReactor<v1::AnnounceRequest, v1::AnnounceResponse> {
 public:
  LeaseStream(v1::RegistryService::Stub& stub, std::mutex& mu, std::condition_variable& changed)
      : mu_(mu), changed_(changed) {
    stub.async()->Announce(&context_, this);
    AddHold();
    StartRead(&incoming_);
    StartCall();
  }

  bool broken() const { return broken_; }

  // The answer to `request`; nothing when the stream breaks before.
  std::optional<v1::AnnounceResponse> Ask(std::unique_lock<std::mutex>& lock,
                                          v1::AnnounceRequest request) {
    if (broken_) return std::nullopt;
    outgoing_ = std::move(request);
    answer_.reset();
    written_ = false;
    StartWrite(&outgoing_);
    // The answer may come before gRPC says that the question is out.
    changed_.wait(lock, [&] { return (answer_ && written_) || broken_; });
    return answer_;
  }

  void Cancel() { context_.TryCancel(); }

  // How the stream ended.
  grpc::Status End(std::unique_lock<std::mutex>& lock) {
    if (!broken_) StartWritesDone();
    RemoveHold();
    changed_.wait(lock, [&] { return done_; });
    return status_;
  }

 private:
  void OnReadDone(bool ok) override {
    const std::lock_guard lock(mu_);
    if (ok) {
      answer_ = incoming_;
      StartRead(&incoming_);
    } else {
      broken_ = true;
    }
    changed_.notify_all();
  }
  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mu_);
    written_ = true;
    if (!ok) broken_ = true;
    changed_.notify_all();
  }
  void OnDone(const grpc::Status& status) override {
    const std::lock_guard lock(mu_);
    done_ = true;
    status_ = status;
    changed_.notify_all();
  }

  std::mutex& mu_;
  std::condition_variable& changed_;
  grpc::ClientContext context_;
  v1::AnnounceRequest outgoing_;
  v1::AnnounceResponse incoming_;
  std::optional<v1::AnnounceResponse> answer_;
  bool written_ = true;
  bool broken_ = false;
  bool done_ = false;
  grpc::Status status_;
};

}  // namespace

// One thread that opens streams one after another and keeps each renewed.
class Announcer::Loop {
 public:
  Loop(const std::string& address, v1::Worker worker, std::function<v1::Load()> load)
      : stub_(v1::RegistryService::NewStub(ConnectToRegistry(address))),
        load_(std::move(load)),
        worker_(std::move(worker)) {}

  void Start(v1::WorkerState state) {
    SetState(state);
    thread_ = std::thread([this] { Run(); });
  }

  void SetState(v1::WorkerState state) {
    const std::lock_guard lock(mu_);
    state_ = state;
    ++news_;
    changed_.notify_all();
  }

  void SetWorker(v1::Worker worker) {
    const std::lock_guard lock(mu_);
    if (google::protobuf::util::MessageDifferencer::Equals(worker, worker_)) return;
    worker_ = std::move(worker);
    anew_ = true;
    ++news_;
    changed_.notify_all();
  }

  bool AwaitTold(v1::WorkerState state, absl::Duration limit) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, absl::ToChronoNanoseconds(limit),
                             [&] { return told_ == state; });
  }

  void Leave(const std::string& reason) {
    std::unique_lock lock(mu_);
    if (!std::exchange(stopping_, true)) reason_ = reason;
    changed_.notify_all();
    if (thread_.joinable() &&
        !changed_.wait_for(lock, std::chrono::seconds(1), [&] { return ended_; })) {
      if (stream_) stream_->Cancel();
    }
  }

  void Stop() {
    Leave("");
    if (thread_.joinable()) thread_.join();
  }

 private:
  void Run() {
    Backoff backoff(std::random_device{}());
    bool said = false;
    while (true) {
      const grpc::Status status = KeepLease(backoff, said);
      std::unique_lock lock(mu_);
      if (stopping_) break;
      if (anew_) continue;
      if (!said) {
        LogWarning("not announced at the registry; serving on and trying again",
                   {{"status", std::string(status.error_message())}});
        said = true;
      }
      const auto wait = absl::ToChronoNanoseconds(backoff.Next());
      changed_.wait_for(lock, wait, [&] { return stopping_; });
      if (stopping_) break;
    }
    const std::lock_guard lock(mu_);
    ended_ = true;
    changed_.notify_all();
  }

  // One stream, from registration until it breaks or Stop.
  grpc::Status KeepLease(Backoff& backoff, bool& said) {
    v1::AnnounceRequest request;
    *request.mutable_register_()->mutable_load() = load_();
    std::unique_lock lock(mu_);
    *request.mutable_register_()->mutable_worker() = worker_;
    anew_ = false;
    LeaseStream stream(*stub_, mu_, changed_);
    stream_ = &stream;
    const v1::WorkerState state = state_;
    request.mutable_register_()->set_state(state);
    uint64_t seen_news = news_;
    const auto response = stream.Ask(lock, std::move(request));
    if (response && response->has_registered()) {
      Told(state);
      LogInfo("announced at the registry", {{"epoch", response->registered().epoch()}});
      backoff.Reset();
      said = false;
      Renew(lock, stream, response->registered(), seen_news);
    }
    const grpc::Status status = stream.End(lock);
    stream_ = nullptr;
    return status;
  }

  void Renew(std::unique_lock<std::mutex>& lock, LeaseStream& stream,
             const v1::AnnounceResponse::Registered& lease, uint64_t seen_news) {
    std::minstd_rand random(std::random_device{}());
    std::uniform_real_distribution<> jitter(0.8, 1.0);
    while (!stream.broken()) {
      const auto interval =
          absl::ToChronoNanoseconds(absl::Milliseconds(lease.ttl_ms()) / 3 * jitter(random));
      changed_.wait_for(lock, interval, [&] {
        return stopping_ || stream.broken() || anew_ || news_ != seen_news;
      });
      v1::AnnounceRequest request;
      if (stopping_) {
        request.mutable_leave()->set_epoch(lease.epoch());
        request.mutable_leave()->set_reason(reason_);
        stream.Ask(lock, std::move(request));
        return;
      }
      // The lease passes over to the next registration.
      if (anew_) return;
      request.mutable_renew()->set_epoch(lease.epoch());
      lock.unlock();
      *request.mutable_renew()->mutable_load() = load_();
      lock.lock();
      seen_news = news_;
      const v1::WorkerState state = state_;
      request.mutable_renew()->set_state(state);
      if (stream.Ask(lock, std::move(request))) Told(state);
    }
  }

  void Told(v1::WorkerState state) {
    told_ = state;
    changed_.notify_all();
  }

  const std::unique_ptr<v1::RegistryService::Stub> stub_;
  const std::function<v1::Load()> load_;
  std::mutex mu_;
  std::condition_variable changed_;
  v1::WorkerState state_ ABSL_GUARDED_BY(mu_) = v1::WORKER_STATE_STARTING;
  v1::Worker worker_ ABSL_GUARDED_BY(mu_);
  // It is to be registered anew.
  bool anew_ ABSL_GUARDED_BY(mu_) = false;
  std::string reason_ ABSL_GUARDED_BY(mu_);
  uint64_t news_ ABSL_GUARDED_BY(mu_) = 0;
  // What the registry has taken note of last.
  v1::WorkerState told_ ABSL_GUARDED_BY(mu_) = v1::WORKER_STATE_UNSPECIFIED;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  LeaseStream* stream_ ABSL_GUARDED_BY(mu_) = nullptr;
  std::thread thread_;
};

Announcer::Announcer(const std::string& registry_address, v1::Worker worker,
                     std::function<v1::Load()> load)
    : loop_(std::make_unique<Loop>(registry_address, std::move(worker), std::move(load))) {}

Announcer::~Announcer() { Stop(); }
void Announcer::Start(v1::WorkerState state) { loop_->Start(state); }
void Announcer::SetState(v1::WorkerState state) { loop_->SetState(state); }
bool Announcer::AwaitTold(v1::WorkerState state, absl::Duration limit) {
  return loop_->AwaitTold(state, limit);
}
void Announcer::SetWorker(v1::Worker worker) { loop_->SetWorker(std::move(worker)); }
void Announcer::Leave(const std::string& reason) { loop_->Leave(reason); }
void Announcer::Stop() { loop_->Stop(); }

}  // namespace torchfleet::registry
