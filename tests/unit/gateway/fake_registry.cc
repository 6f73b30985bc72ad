#include "tests/unit/gateway/fake_registry.h"

#include <chrono>
#include <stdexcept>

namespace torchfleet::gateway {

FakeRegistry::FakeRegistry(const std::string& listen) {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(listen, grpc::InsecureServerCredentials(), &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  if (!server_) throw std::runtime_error("no port for the registry: " + listen);
  address_ = "127.0.0.1:" + std::to_string(port);
}

FakeRegistry::~FakeRegistry() {
  {
    const std::lock_guard lock(mu_);
    stopped_ = true;
    changed_.notify_all();
  }
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
}

void FakeRegistry::Say(const registry::v1::WatchResponse& response) {
  const std::lock_guard lock(mu_);
  words_.push_back(response);
  changed_.notify_all();
}

grpc::Status FakeRegistry::Watch(grpc::ServerContext*, const registry::v1::WatchRequest*,
                                 grpc::ServerWriter<registry::v1::WatchResponse>* writer) {
  size_t said = 0;
  std::unique_lock lock(mu_);
  while (!stopped_) {
    if (said == words_.size()) {
      changed_.wait(lock);
      continue;
    }
    const registry::v1::WatchResponse next = words_[said++];
    lock.unlock();
    const bool sent = writer->Write(next);
    lock.lock();
    if (!sent) break;
  }
  return grpc::Status::OK;
}

}  // namespace torchfleet::gateway
