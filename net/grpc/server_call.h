#pragma once
// gRPC calls as a server answers them.
//
//   begin ─► OnMessage … ─► OnHalfClose         Send … ─► Finish
//   last of all, always: OnDone
//
// A unary method is one that sends one message and finishes. The caller's
// deadline is kept here: when it passes the call finishes DEADLINE_EXCEEDED.
//
// Who passes calls on need not wait for whole messages: after CutThrough the
// handler gets the body's bytes as they come (OnBytes), gives them back with
// Consumed when they have gone on, and answers with SendBytes.
//
// A caller that does not read its answers is not read either: over
// Options::waiting_bytes of unsent answers, its window is not given back.
//
// Calls and what they hold are used again. Only on their loop's thread.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "net/buffer/free_list.h"
#include "net/grpc/incoming.h"
#include "net/grpc/status.h"
#include "net/http/stream.h"
#include "net/loop/loop.h"
#include "net/server/service.h"

namespace torchfleet::net {

class GrpcServerCall;

class GrpcServerHandler {
 public:
  // A message is whole. Who keeps the Slice keeps its bytes.
  virtual void OnMessage(GrpcServerCall&, const Slice&) {}
  // After CutThrough: part of the body, messages with their prefixes. Length and
  // compression of each message were checked.
  virtual void OnBytes(GrpcServerCall&, const Slice&) {}
  // The caller sends no more.
  virtual void OnHalfClose(GrpcServerCall& call) = 0;
  // So many bytes of answers have left; call.waiting() says how many have not.
  virtual void OnSent(GrpcServerCall&, size_t) {}
  // The last call, once: finished, cancelled, past its deadline or broken off.
  // `finished`: the caller has been sent what Finish said.
  virtual void OnDone(GrpcServerCall& call, bool finished) = 0;

 protected:
  ~GrpcServerHandler() = default;
};

class GrpcService;

class GrpcServerCall final : private StreamHandler {
 public:
  explicit GrpcServerCall(GrpcService& service);

  // "/package.Service/Method".
  std::string_view method() const { return stream_->headers().ValueOr(":path", ""); }
  // What the caller sent beside its messages.
  const Headers& metadata() const { return stream_->headers(); }
  // The caller's connection; see Stream.
  uint64_t connection() const { return stream_->connection(); }
  // When the caller gives up; Infinite when it did not say.
  Instant deadline() const { return deadline_; }

  // Before the first Send, if at all.
  void SendMetadata(const Headers& metadata);
  void Send(std::string_view message);
  // The message without its prefix, by reference.
  void Send(Slice message);
  // Part of a body: messages with their prefixes, cut anywhere.
  void SendBytes(Slice bytes);
  void SendBytes(std::string_view bytes);
  // Bytes of answers that have not left.
  size_t waiting() const { return stream_ ? stream_->waiting() : 0; }
  // Once; nothing after it. `trailers`: metadata beside the status.
  void Finish(const GrpcStatus& status, const Headers* trailers = nullptr);

  // OnBytes instead of OnMessage; while the call begins only.
  void CutThrough() { incoming_.CutThrough(); }
  // So many bytes of OnBytes are done with.
  void Consumed(size_t count) {
    if (stream_) stream_->Consumed(count);
  }
  // Without CutThrough: the caller's window is not given back until GoOn. Up to
  // a window's worth of messages still comes.
  void HoldBack() { incoming_.HoldBack(GrpcIncoming::kHandlerBusy); }
  void GoOn() {
    if (stream_) incoming_.GoOn(GrpcIncoming::kHandlerBusy, *stream_);
  }

 private:
  friend class GrpcService;

  void Begin(Stream& stream);
  void OnHeaders(Stream& stream, bool end) override;
  void OnBody(Stream& stream, const Slice& bytes) override;
  void OnEnd(Stream& stream) override;
  void OnSent(Stream& stream, size_t count) override;
  void OnClosed(Stream& stream, CloseCode code) override;
  void Refuse(std::string_view http_status, const GrpcStatus& status);
  void StartAnswer();
  void PassDeadline();
  void MindWaiting();

  GrpcService& service_;
  Stream* stream_ = nullptr;
  GrpcServerHandler* handler_ = nullptr;
  GrpcIncoming incoming_;
  Instant deadline_ = Instant::Infinite();
  Timer timer_;
  bool answering_ = false;
  bool finished_ = false;
};

// The gRPC methods of a loop. A method nobody added is UNIMPLEMENTED.
class GrpcService final : public Service {
 public:
  // Who handles a call; it lives until OnDone. Nobody: it has finished the call.
  using Begin = std::function<GrpcServerHandler*(GrpcServerCall& call)>;

  struct Options {
    // Of a message a caller sends.
    size_t message_bytes = 64 << 20;
    // Of a call's answers that wait for the caller before it is held back.
    size_t waiting_bytes = 1 << 20;
  };

  explicit GrpcService(Loop& loop) : GrpcService(loop, Options()) {}
  GrpcService(Loop& loop, Options options) : loop_(loop), options_(options) {}

  void Add(std::string method, Begin begin) { methods_[std::move(method)] = std::move(begin); }
  // For every other method.
  void AddOthers(Begin begin) { others_ = std::move(begin); }

  StreamHandler* OnStream(Stream& stream) override;

 private:
  friend class GrpcServerCall;

  Loop& loop_;
  const Options options_;
  std::unordered_map<std::string, Begin> methods_;
  Begin others_;
  std::string method_;  // for looking one up
  Headers headers_;     // for an answer
  FreeList<GrpcServerCall> free_;
};

}  // namespace torchfleet::net
