#pragma once
// The registry's gRPC service: streams of workers and of watchers, and orders to
// drain.
//
// Watch is served in bytes, as one message goes to many.
//
// Borrows sessions, publisher, orders and fleet. Thread-safe, as gRPC demands.
// StopStreams ends every open stream with UNAVAILABLE, so that a server can
// drain: clients come back to the next one.

#include <memory>
#include <mutex>
#include <set>

#include "absl/base/thread_annotations.h"
#include "registry/front/drain_orders.h"
#include "registry/front/sessions.h"
#include "registry/watch/publisher.h"
#include "torchfleet/registry/v1/registry.grpc.pb.h"

namespace torchfleet::registry {

// A stream that the service can end.
class OpenStream {
 public:
  virtual ~OpenStream() = default;
  virtual void End(const absl::Status& why) = 0;
};

class RegistryService
    : public v1::RegistryService::WithCallbackMethod_Announce<
          v1::RegistryService::WithRawCallbackMethod_Watch<
              v1::RegistryService::WithCallbackMethod_Drain<v1::RegistryService::Service>>> {
 public:
  struct Parts {
    Store& store;
    Fleet& fleet;
    Publisher& publisher;
    Sessions& sessions;
    DrainOrders& drain_orders;
  };

  explicit RegistryService(Parts parts) : parts_(parts) {}

  grpc::ServerBidiReactor<v1::AnnounceRequest, v1::AnnounceResponse>* Announce(
      grpc::CallbackServerContext* context) override;
  grpc::ServerWriteReactor<grpc::ByteBuffer>* Watch(grpc::CallbackServerContext* context,
                                                    const grpc::ByteBuffer* request) override;
  grpc::ServerUnaryReactor* Drain(grpc::CallbackServerContext* context,
                                  const v1::DrainRequest* request,
                                  v1::DrainResponse* response) override;

  void StopStreams();

  // Streams add and remove themselves; false once streams are stopped.
  bool Add(std::shared_ptr<OpenStream> stream);
  void Remove(const std::shared_ptr<OpenStream>& stream);

  const Parts& parts() const { return parts_; }

 private:
  const Parts parts_;
  std::mutex mu_;
  std::set<std::shared_ptr<OpenStream>> streams_ ABSL_GUARDED_BY(mu_);
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace torchfleet::registry
