#pragma once
// A call of the control plane on its way to the ordinary gRPC server behind the
// edge, byte for byte, in the pace of the slower side.
//
// Used again once both streams are closed. Only on its loop's thread.

#include <memory>
#include <vector>

#include "gateway/forward/worker_links.h"
#include "net/buffer/free_list.h"
#include "net/http/stream.h"
#include "net/socket/address.h"

namespace torchfleet::gateway {

class ControlCallPool;

class ControlCall final : public net::StreamHandler {
 public:
  explicit ControlCall(ControlCallPool& pool) : pool_(pool), server_side_(*this) {}

  void Begin(net::Stream& caller) { caller_ = &caller; }

 private:
  struct ServerSide final : net::StreamHandler {
    explicit ServerSide(ControlCall& owner) : call(owner) {}
    void OnHeaders(net::Stream& stream, bool end) override;
    void OnBody(net::Stream& stream, const net::Slice& bytes) override;
    void OnEnd(net::Stream& stream) override;
    void OnSent(net::Stream& stream, size_t count) override;
    void OnClosed(net::Stream& stream, net::CloseCode code) override;
    ControlCall& call;
  };

  void OnHeaders(net::Stream& stream, bool end) override;
  void OnBody(net::Stream& stream, const net::Slice& bytes) override;
  void OnEnd(net::Stream& stream) override;
  void OnSent(net::Stream& stream, size_t count) override;
  void OnClosed(net::Stream& stream, net::CloseCode code) override;
  void RecycleWhenClosed();

  ControlCallPool& pool_;
  ServerSide server_side_;
  net::Stream* caller_ = nullptr;
  net::Stream* server_ = nullptr;
  bool answered_ = false;  // the caller has been sent headers
  bool ended_ = false;     // and the end
};

class ControlCallPool {
 public:
  ControlCallPool(net::Loop& loop, net::Address server)
      : server_(std::move(server)), links_(loop) {}

  ControlCall& Take(net::Stream& caller);

 private:
  friend class ControlCall;

  const net::Address server_;
  WorkerLinks links_;
  net::Headers headers_;
  net::FreeList<ControlCall> free_;
};

}  // namespace torchfleet::gateway
