#pragma once
// gRPC calls to one address, over a few connections that are made when they are
// needed.
//
//   Call ─► Send … ─► HalfClose        OnMessage … ─► OnDone, once, always
//
// Who passes answers on need not wait for whole messages: CutThrough, OnBytes,
// Consumed and SendBytes are as a GrpcServerCall has them.
//
// A connection that cannot be made, or breaks, fails its calls; the next call
// makes another, after the pause that ConnectionPool keeps. Only on its loop's
// thread; destroyed after its calls are done, or ends them.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/buffer/free_list.h"
#include "net/client/connection_pool.h"
#include "net/grpc/incoming.h"
#include "net/grpc/status.h"
#include "net/http/stream.h"
#include "net/loop/loop.h"
#include "net/socket/address.h"
#include "net/tls/tls_context.h"

namespace torchfleet::net {

class GrpcClientCall;

// How a call ended.
struct GrpcOutcome {
  GrpcStatus status;
  // The server has not seen it for sure: it may be sent elsewhere whatever it
  // asks for.
  bool never_processed = false;
  // The status is the server's own, and not this side's word for what happened.
  bool answered = false;
};

class GrpcClientHandler {
 public:
  // The answer has begun; its metadata is in call.metadata(). Optional.
  virtual void OnMetadata(GrpcClientCall&) {}
  // A message is whole. Who keeps the Slice keeps its bytes.
  virtual void OnMessage(GrpcClientCall&, const Slice&) {}
  // After CutThrough: part of the body, messages with their prefixes.
  virtual void OnBytes(GrpcClientCall&, const Slice&) {}
  // So many bytes have left; call.waiting() says how many have not.
  virtual void OnSent(GrpcClientCall&, size_t) {}
  // The last call. Trailing metadata is in call.trailers(); the call is gone
  // after this.
  virtual void OnDone(GrpcClientCall& call, const GrpcOutcome& outcome) = 0;

 protected:
  ~GrpcClientHandler() = default;
};

class Channel;

class GrpcClientCall final : private StreamHandler {
 public:
  explicit GrpcClientCall(Channel& channel);

  void Send(std::string_view message);
  // The message without its prefix, by reference.
  void Send(Slice message);
  // Part of a body: messages with their prefixes, cut anywhere.
  void SendBytes(Slice bytes);
  void HalfClose();
  // Bytes that have not left.
  size_t waiting() const { return stream_ ? stream_->waiting() : 0; }
  // OnDone with CANCELLED follows, from the loop.
  void Cancel();

  const Headers& metadata() const;
  const Headers& trailers() const;

  // OnBytes instead of OnMessage; before the loop goes on.
  void CutThrough() { incoming_.CutThrough(); }
  // So many bytes of OnBytes are done with.
  void Consumed(size_t count) {
    if (stream_) stream_->Consumed(count);
  }
  // Without CutThrough: the server's window is not given back until GoOn. Up to
  // a window's worth of messages still comes.
  void HoldBack() { incoming_.HoldBack(GrpcIncoming::kHandlerBusy); }
  void GoOn() {
    if (stream_) incoming_.GoOn(GrpcIncoming::kHandlerBusy, *stream_);
  }

 private:
  friend class Channel;

  void OnHeaders(Stream& stream, bool end) override;
  void OnBody(Stream& stream, const Slice& bytes) override;
  void OnEnd(Stream& stream) override;
  void OnSent(Stream&, size_t count) override {
    if (!has_status_) handler_->OnSent(*this, count);
  }
  void OnClosed(Stream& stream, CloseCode code) override;
  void Give(GrpcStatus status);
  void End(CloseCode code);

  Channel& channel_;
  GrpcClientHandler* handler_ = nullptr;
  Stream* stream_ = nullptr;
  GrpcIncoming incoming_;
  Timer timer_;
  GrpcStatus status_;
  bool has_status_ = false;  // status_ is how it ends, whatever comes
  bool answered_ = false;
  bool trailers_only_ = false;
};

class Channel {
 public:
  struct Options {
    int connections = 1;
    size_t message_bytes = 64 << 20;
    Http2Options http2;
    // TLS; null without.
    std::shared_ptr<const TlsContext> tls = nullptr;
    // Whom the server's certificate is for; empty for the address's host.
    std::string server_name = "";
  };

  Channel(Loop& loop, Address address, Options options);
  ~Channel();

  // Begins a call of "/package.Service/Method". `metadata` may be null; an
  // infinite timeout is none.
  GrpcClientCall& Call(std::string_view method, const Headers* metadata, absl::Duration timeout,
                       GrpcClientHandler& handler);

 private:
  friend class GrpcClientCall;

  Loop& loop_;
  const size_t message_bytes_;
  Headers headers_;
  FreeList<GrpcClientCall> free_;
  // Calls that found no connection, and the timer that tells them.
  std::vector<GrpcClientCall*> unsent_;
  Timer tell_unsent_;
  // Last: its end ends calls.
  ConnectionPool connections_;
};

}  // namespace torchfleet::net
