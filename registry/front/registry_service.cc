#include "registry/front/registry_service.h"

#include "registry/front/announce_stream.h"
#include "registry/front/watch_stream.h"

namespace torchfleet::registry {

grpc::ServerBidiReactor<v1::AnnounceRequest, v1::AnnounceResponse>* RegistryService::Announce(
    grpc::CallbackServerContext*) {
  return AnnounceStream::Open(fleet_, *this);
}

grpc::ServerWriteReactor<v1::WatchResponse>* RegistryService::Watch(
    grpc::CallbackServerContext*, const v1::WatchRequest* request) {
  return WatchStream::Open(fleet_, *this, *request);
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
  std::set<std::shared_ptr<OpenStream>> streams;
  {
    const std::lock_guard lock(mu_);
    stopped_ = true;
    streams = streams_;
  }
  for (const auto& stream : streams) stream->End();
}

}  // namespace torchfleet::registry
