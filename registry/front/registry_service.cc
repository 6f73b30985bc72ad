#include "registry/front/registry_service.h"

#include "base/grpc_status.h"
#include "registry/front/announce_stream.h"
#include "registry/front/watch_stream.h"

namespace torchfleet::registry {

grpc::ServerBidiReactor<v1::AnnounceRequest, v1::AnnounceResponse>* RegistryService::Announce(
    grpc::CallbackServerContext*) {
  return AnnounceStream::Open(*this);
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* RegistryService::Watch(
    grpc::CallbackServerContext*, const grpc::ByteBuffer* request) {
  return WatchStream::Open(*this, *request);
}

grpc::ServerUnaryReactor* RegistryService::Drain(grpc::CallbackServerContext* context,
                                                 const v1::DrainRequest* request,
                                                 v1::DrainResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  parts_.drain_orders.Order(*request, [=](absl::StatusOr<v1::DrainResponse> result) {
    if (result.ok()) *response = *std::move(result);
    reactor->Finish(ToGrpc(result.status()));
  });
  return reactor;
}

bool RegistryService::Add(std::shared_ptr<OpenStream> stream) {
  const std::lock_guard lock(mu_);
  if (stopped_) return false;
  streams_.insert(std::move(stream));
  return true;
}

void RegistryService::Remove(const std::shared_ptr<OpenStream>& stream) {
  const std::lock_guard lock(mu_);
  streams_.erase(stream);
}

void RegistryService::StopStreams() {
  parts_.sessions.Stop();
  std::set<std::shared_ptr<OpenStream>> streams;
  {
    const std::lock_guard lock(mu_);
    stopped_ = true;
    streams = streams_;
  }
  for (const auto& stream : streams) {
    stream->End(absl::UnavailableError("the registry is stopping"));
  }
}

}  // namespace torchfleet::registry
