#pragma once
// A registry in this process whose answers to workers are a test's.

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "torchfleet/registry/v1/registry.grpc.pb.h"

namespace torchfleet::registry {

class ScriptedRegistry : public v1::RegistryService::Service {
 public:
  using Stream = grpc::ServerReaderWriter<v1::AnnounceResponse, v1::AnnounceRequest>;
  // Answers one message; false ends the stream.
  using Answer = std::function<bool(const v1::AnnounceRequest&, Stream&)>;

  explicit ScriptedRegistry(Answer answer = AnswerAll) : answer_(std::move(answer)) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address_ = "127.0.0.1:" + std::to_string(port);
  }
  ~ScriptedRegistry() override { End(); }

  // Every stream breaks, and nobody listens any more.
  void End() { server_->Shutdown(std::chrono::system_clock::now()); }

  const std::string& address() const { return address_; }

  // Whether `reached` holds of all that has come, in time.
  bool Await(const std::function<bool(const std::vector<v1::AnnounceRequest>&)>& reached) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return reached(said_); });
  }
  // Whether so many streams have ended, in time.
  bool AwaitEnded(int streams) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return ended_ >= streams; });
  }

  // A lease of ten minutes and every renewal.
  static bool AnswerAll(const v1::AnnounceRequest& request, Stream& stream) {
    v1::AnnounceResponse response;
    if (request.has_register_()) {
      response.mutable_registered()->set_epoch(1);
      response.mutable_registered()->set_ttl_ms(600'000);
    } else {
      response.mutable_renewed();
    }
    return stream.Write(response);
  }

  grpc::Status Announce(grpc::ServerContext*, Stream* stream) override {
    v1::AnnounceRequest request;
    while (stream->Read(&request)) {
      {
        const std::lock_guard lock(mu_);
        said_.push_back(request);
        changed_.notify_all();
      }
      if (!answer_(request, *stream)) break;
    }
    const std::lock_guard lock(mu_);
    ++ended_;
    changed_.notify_all();
    return grpc::Status::OK;
  }

 private:
  const Answer answer_;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;

  std::mutex mu_;
  std::condition_variable changed_;
  // Guarded by mu_.
  std::vector<v1::AnnounceRequest> said_;
  int ended_ = 0;
};

}  // namespace torchfleet::registry
