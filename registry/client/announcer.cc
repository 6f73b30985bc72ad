#include "registry/client/announcer.h"

#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "registry/client/backoff.h"
#include "registry/client/channel.h"
#include "torchfleet/registry/v1/registry.grpc.pb.h"

namespace torchfleet::registry {

// One thread that opens streams one after another and keeps each renewed.
class Announcer::Loop {
 public:
  Loop(const std::string& address, v1::Worker worker, std::function<v1::Load()> load)
      : stub_(v1::RegistryService::NewStub(ConnectToRegistry(address))),
        worker_(std::move(worker)),
        load_(std::move(load)) {}

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

  void Stop() {
    {
      std::unique_lock lock(mu_);
      stopping_ = true;
      changed_.notify_all();
      if (thread_.joinable() &&
          !changed_.wait_for(lock, std::chrono::seconds(1), [&] { return ended_; })) {
        if (context_) context_->TryCancel();
      }
    }
    if (thread_.joinable()) thread_.join();
  }

 private:
  using Stream = grpc::ClientReaderWriter<v1::AnnounceRequest, v1::AnnounceResponse>;

  void Run() {
    Backoff backoff(std::random_device{}());
    bool said = false;
    while (true) {
      const grpc::Status status = KeepLease(backoff, said);
      std::unique_lock lock(mu_);
      if (stopping_) break;
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
    grpc::ClientContext context;
    {
      const std::lock_guard lock(mu_);
      context_ = &context;
    }
    auto stream = stub_->Announce(&context);
    v1::AnnounceResponse response;
    uint64_t seen_news = 0;
    if (stream->Write(Registration(seen_news)) && stream->Read(&response) &&
        response.has_registered()) {
      LogInfo("announced at the registry", {{"epoch", response.registered().epoch()}});
      backoff.Reset();
      said = false;
      Renew(*stream, response.registered(), seen_news);
      stream->WritesDone();
    }
    const grpc::Status status = stream->Finish();
    const std::lock_guard lock(mu_);
    context_ = nullptr;
    return status;
  }

  v1::AnnounceRequest Registration(uint64_t& seen_news) {
    v1::AnnounceRequest request;
    auto* registration = request.mutable_register_();
    *registration->mutable_worker() = worker_;
    *registration->mutable_load() = load_();
    const std::lock_guard lock(mu_);
    registration->set_state(state_);
    seen_news = news_;
    return request;
  }

  void Renew(Stream& stream, const v1::AnnounceResponse::Registered& lease, uint64_t seen_news) {
    std::minstd_rand random(std::random_device{}());
    std::uniform_real_distribution<> jitter(0.8, 1.0);
    v1::AnnounceResponse response;
    while (true) {
      v1::AnnounceRequest request;
      {
        std::unique_lock lock(mu_);
        const auto interval =
            absl::ToChronoNanoseconds(absl::Milliseconds(lease.ttl_ms()) / 3 * jitter(random));
        changed_.wait_for(lock, interval, [&] { return stopping_ || news_ != seen_news; });
        seen_news = news_;
        if (stopping_) {
          request.mutable_leave()->set_epoch(lease.epoch());
        } else {
          request.mutable_renew()->set_epoch(lease.epoch());
          request.mutable_renew()->set_state(state_);
        }
      }
      if (request.has_renew()) *request.mutable_renew()->mutable_load() = load_();
      if (!stream.Write(request) || !stream.Read(&response) || request.has_leave()) return;
    }
  }

  const std::unique_ptr<v1::RegistryService::Stub> stub_;
  const v1::Worker worker_;
  const std::function<v1::Load()> load_;
  std::mutex mu_;
  std::condition_variable changed_;
  v1::WorkerState state_ ABSL_GUARDED_BY(mu_) = v1::WORKER_STATE_STARTING;
  uint64_t news_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mu_) = nullptr;
  std::thread thread_;
};

Announcer::Announcer(const std::string& registry_address, v1::Worker worker,
                     std::function<v1::Load()> load)
    : loop_(std::make_unique<Loop>(registry_address, std::move(worker), std::move(load))) {}

Announcer::~Announcer() { Stop(); }
void Announcer::Start(v1::WorkerState state) { loop_->Start(state); }
void Announcer::SetState(v1::WorkerState state) { loop_->SetState(state); }
void Announcer::Stop() { loop_->Stop(); }

}  // namespace torchfleet::registry
