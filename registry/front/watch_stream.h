#pragma once
// One watcher's stream: one message under way at a time, as the publisher gives
// them.
//
// Owned by itself until gRPC is done with it.

#include <memory>
#include <mutex>
#include <optional>

#include "registry/front/registry_service.h"

namespace torchfleet::registry {

class WatchStream : public grpc::ServerWriteReactor<grpc::ByteBuffer>,
                    public WatchSink,
                    public OpenStream {
 public:
  static WatchStream* Open(RegistryService& service, const grpc::ByteBuffer& request);

  void Write(const grpc::Slice& message) override;
  void End(const absl::Status& why) override;

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  explicit WatchStream(RegistryService& service) : service_(service) {}

  // Why it cannot begin; nothing when it has.
  absl::Status Begin(const grpc::ByteBuffer& request);
  // When a message is under way, after it.
  void FinishOnce(const grpc::Status& status);

  RegistryService& service_;
  std::shared_ptr<WatchStream> self_;
  // Nothing where it did not begin.
  std::shared_ptr<WatchCursor> cursor_;
  std::mutex mu_;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  // How it is to end, or has ended.
  std::optional<grpc::Status> result_ ABSL_GUARDED_BY(mu_);
  // Belongs to the write that is under way.
  grpc::ByteBuffer message_;
};

}  // namespace torchfleet::registry
