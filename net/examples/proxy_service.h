#pragma once
// A proxy for any gRPC method, to begin from: bytes go through as they come,
// and whoever is slow holds the other side back.

#include "net/client/channel.h"
#include "net/grpc/server_call.h"

namespace torchfleet::net::example {

// What one side sends about a call, without what is HTTP's or the connection's.
inline Headers Metadata(const Headers& headers) {
  Headers metadata;
  for (const auto [name, value] : headers) {
    const bool ours = name.substr(0, 1) == ":" || name == "te" || name == "content-type" ||
                      name.substr(0, 5) == "grpc-";
    if (!ours) metadata.Add(name, value);
  }
  return metadata;
}

// One call on its way through.
class Passing final : public GrpcServerHandler, public GrpcClientHandler {
 public:
  Passing(GrpcServerCall& from, Channel& channel, Loop& loop) : from_(&from) {
    from.CutThrough();
    const Headers metadata = Metadata(from.metadata());
    to_ = &channel.Call(from.method(), &metadata, from.deadline() - loop.now(), *this);
    to_->CutThrough();
  }

 private:
  // From the caller.
  void OnBytes(GrpcServerCall&, const Slice& bytes) override {
    if (to_) to_->SendBytes(bytes);
  }
  void OnHalfClose(GrpcServerCall&) override {
    if (to_) to_->HalfClose();
  }
  void OnSent(GrpcServerCall&, size_t count) override {
    if (to_) to_->Consumed(count);
  }
  void OnDone(GrpcServerCall&, bool) override {
    from_ = nullptr;
    if (to_) to_->Cancel();
    if (!to_) delete this;
  }

  // From the server behind.
  void OnMetadata(GrpcClientCall& call) override {
    if (from_) from_->SendMetadata(Metadata(call.metadata()));
  }
  void OnBytes(GrpcClientCall&, const Slice& bytes) override {
    if (from_) from_->SendBytes(bytes);
  }
  void OnSent(GrpcClientCall&, size_t count) override {
    if (from_) from_->Consumed(count);
  }
  void OnDone(GrpcClientCall& call, const GrpcOutcome& outcome) override {
    to_ = nullptr;
    const Headers trailers = Metadata(call.trailers());
    if (from_) from_->Finish(outcome.status, &trailers);
    if (!from_) delete this;
  }

  GrpcServerCall* from_;
  GrpcClientCall* to_ = nullptr;
};

class ProxyService : public Service {
 public:
  ProxyService(Loop& loop, const Address& behind) : channel_(loop, behind, {}), grpc_(loop) {
    grpc_.AddOthers(
        [this, &loop](GrpcServerCall& call) { return new Passing(call, channel_, loop); });
  }
  StreamHandler* OnStream(Stream& stream) override { return grpc_.OnStream(stream); }

 private:
  Channel channel_;
  GrpcService grpc_;
};

}  // namespace torchfleet::net::example
