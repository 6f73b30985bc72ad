#include "registry/client/watcher.h"

#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "base/log.h"
#include "registry/client/backoff.h"
#include "registry/client/registry_channel.h"
#include "torchfleet/registry/v1/registry.grpc.pb.h"

namespace torchfleet::registry {
namespace {

// Of a snapshot: what a registry needs for an endpoint, and a watcher too.
constexpr absl::Duration kPerEndpoint = absl::Microseconds(50);

}  // namespace

// One thread that opens streams one after another, each where the last ended.
class Watcher::Loop {
 public:
  Loop(const std::string& addresses, Callbacks callbacks)
      : callbacks_(std::move(callbacks)),
        channel_(addresses, std::random_device{}()),
        backoff_(std::random_device{}()) {}

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
    bool said = false;
    while (true) {
      bool connected = false;
      const grpc::Status status = Follow(connected);
      std::unique_lock lock(mu_);
      if (stopping_) return;
      channel_.Failed();
      if (connected) said = false;
      if (!said) {
        LogWarning("the registry is away; going on with the last known fleet",
                   {{"status", std::string(status.error_message())}});
        said = true;
      }
      const absl::Duration wait =
          connected ? backoff_.Within(kPerEndpoint * endpoints_) : backoff_.Next();
      changed_.wait_for(lock, absl::ToChronoNanoseconds(wait), [&] { return stopping_; });
      if (stopping_) return;
    }
  }

  // One stream until it breaks or Stop; whether it said anything.
  grpc::Status Follow(bool& connected) {
    grpc::ClientContext context;
    {
      const std::lock_guard lock(mu_);
      if (stopping_) return grpc::Status::CANCELLED;
      context_ = &context;
    }
    const auto stub = v1::RegistryService::NewStub(channel_.Get());
    auto reader = stub->Watch(&context, position_);
    v1::WatchResponse response;
    while (reader->Read(&response)) {
      if (!connected) {
        connected = true;
        backoff_.Reset();
        if (callbacks_.on_connection) callbacks_.on_connection(true);
      }
      position_.set_incarnation(response.incarnation());
      position_.set_after_revision(response.revision());
      if (response.has_snapshot()) endpoints_ = response.snapshot().endpoints_size();
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

  const Callbacks callbacks_;
  // Only on the loop's thread.
  RegistryChannel channel_;
  Backoff backoff_;
  v1::WatchRequest position_;
  // Of the last snapshot.
  int endpoints_ = 0;
  std::mutex mu_;
  std::condition_variable changed_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mu_) = nullptr;
  std::thread thread_;
};

Watcher::Watcher(const std::string& registry_addresses, Callbacks callbacks)
    : loop_(std::make_unique<Loop>(registry_addresses, std::move(callbacks))) {}

Watcher::~Watcher() { Stop(); }
void Watcher::Start() { loop_->Start(); }
void Watcher::Stop() { loop_->Stop(); }

}  // namespace torchfleet::registry
