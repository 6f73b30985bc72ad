#pragma once
// The registry's gRPC service: streams in, calls on the fleet out.
//
// Borrows the fleet. Thread-safe, as gRPC demands. StopStreams ends every open
// stream with UNAVAILABLE, so that a server can drain: clients come back to the
// next one.

#include <memory>
#include <mutex>
#include <set>

#include "absl/base/thread_annotations.h"
#include "registry/watch/fleet.h"
#include "torchfleet/registry/v1/registry.grpc.pb.h"

namespace torchfleet::registry {

// A stream that the service can end.
class OpenStream {
 public:
  virtual ~OpenStream() = default;
  virtual void End() = 0;
};

class RegistryService : public v1::RegistryService::CallbackService {
 public:
  explicit RegistryService(Fleet& fleet) : fleet_(fleet) {}

  grpc::ServerBidiReactor<v1::AnnounceRequest, v1::AnnounceResponse>* Announce(
      grpc::CallbackServerContext* context) override;
  grpc::ServerWriteReactor<v1::WatchResponse>* Watch(grpc::CallbackServerContext* context,
                                                     const v1::WatchRequest* request) override;

  void StopStreams();

  // Streams add and remove themselves; false once streams are stopped.
  bool Add(std::shared_ptr<OpenStream> stream);
  void Remove(const std::shared_ptr<OpenStream>& stream);

 private:
  Fleet& fleet_;
  std::mutex mu_;
  std::set<std::shared_ptr<OpenStream>> streams_ ABSL_GUARDED_BY(mu_);
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace torchfleet::registry
