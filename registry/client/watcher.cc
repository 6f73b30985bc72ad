#include "registry/client/watcher.h"

#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "base/log.h"
#include "registry/client/backoff.h"
#include "registry/client/channel.h"
#include "torchfleet/registry/v1/registry.grpc.pb.h"

namespace torchfleet::registry {

// One thread that opens streams one after another, each where the last ended.
class Watcher::Loop {
 public:
  Loop(const std::string& address, Callbacks callbacks)
      : stub_(v1::RegistryService::NewStub(ConnectToRegistry(address))),
        callbacks_(std::move(callbacks)) {}

  void Start() {
    thread_ = std::thread([this] { Run(); });
  }

  void Stop() {
    {
      const std::lock_guard lock(mu_);
      stopping_ = true;
      if (context_) context_->TryCancel();
      changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
  }

 private:
  void Run() {
    Backoff backoff(std::random_device{}());
    bool said = false;
    while (true) {
      const grpc::Status status = Follow(backoff, said);
      std::unique_lock lock(mu_);
      if (stopping_) return;
      if (!said) {
        LogWarning("the registry is away; going on with the last known fleet",
                   {{"status", std::string(status.error_message())}});
        said = true;
      }
      const auto wait = absl::ToChronoNanoseconds(backoff.Next());
      changed_.wait_for(lock, wait, [&] { return stopping_; });
      if (stopping_) return;
    }
  }

  // One stream until it breaks or Stop.
  grpc::Status Follow(Backoff& backoff, bool& said) {
    grpc::ClientContext context;
    {
      const std::lock_guard lock(mu_);
      if (stopping_) return grpc::Status::CANCELLED;
      context_ = &context;
    }
    auto reader = stub_->Watch(&context, position_);
    v1::WatchResponse response;
    bool connected = false;
    while (reader->Read(&response)) {
      if (!connected) {
        connected = true;
        backoff.Reset();
        said = false;
        if (callbacks_.on_connection) callbacks_.on_connection(true);
      }
      position_.set_incarnation(response.incarnation());
      position_.set_after_revision(response.revision());
      callbacks_.on_change(response);
    }
    const grpc::Status status = reader->Finish();
    {
      const std::lock_guard lock(mu_);
      context_ = nullptr;
    }
    if (connected && callbacks_.on_connection) callbacks_.on_connection(false);
    return status;
  }

  const std::unique_ptr<v1::RegistryService::Stub> stub_;
  const Callbacks callbacks_;
  // Only on the loop's thread.
  v1::WatchRequest position_;
  std::mutex mu_;
  std::condition_variable changed_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mu_) = nullptr;
  std::thread thread_;
};

Watcher::Watcher(const std::string& registry_address, Callbacks callbacks)
    : loop_(std::make_unique<Loop>(registry_address, std::move(callbacks))) {}

Watcher::~Watcher() { Stop(); }
void Watcher::Start() { loop_->Start(); }
void Watcher::Stop() { loop_->Stop(); }

}  // namespace torchfleet::registry
