#pragma once
// A registry in this process that says what a test tells it to.

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "torchfleet/registry/v1/registry.grpc.pb.h"

namespace torchfleet::gateway {

class FakeRegistry : public registry::v1::RegistryService::Service {
 public:
  // On a free port, or where another one was.
  explicit FakeRegistry(const std::string& listen = "127.0.0.1:0");
  ~FakeRegistry() override;

  // What every watcher reads from now on, the earlier words first.
  void Say(const registry::v1::WatchResponse& response);

  const std::string& address() const { return address_; }

  grpc::Status Watch(grpc::ServerContext* context, const registry::v1::WatchRequest* request,
                     grpc::ServerWriter<registry::v1::WatchResponse>* writer) override;

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  // Guarded by mu_.
  std::vector<registry::v1::WatchResponse> words_;
  bool stopped_ = false;

  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace torchfleet::gateway
