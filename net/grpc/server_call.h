#pragma once
// gRPC calls as a server answers them.
//
//   begin ─► OnMessage … ─► OnHalfClose         Send … ─► Finish
//   last of all, always: OnDone
//
// A unary method is one that sends one message and finishes. The caller's
// deadline is kept here: when it passes the call finishes DEADLINE_EXCEEDED.
// Calls and what they hold are used again. Only on their loop's thread.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "net/grpc/message_reader.h"
#include "net/grpc/status.h"
#include "net/http/stream.h"
#include "net/loop/loop.h"
#include "net/server/service.h"

namespace torchfleet::net {

class GrpcServerCall;

class GrpcServerHandler {
 public:
  // A message is whole; the view is gone after this.
  virtual void OnMessage(GrpcServerCall& call, std::string_view message) = 0;
  // The caller sends no more.
  virtual void OnHalfClose(GrpcServerCall& call) = 0;
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
  // When the caller gives up; Infinite when it did not say.
  Instant deadline() const { return deadline_; }

  // Before the first Send, if at all.
  void SendMetadata(const Headers& metadata);
  void Send(std::string_view message);
  // The message without its prefix, by reference.
  void Send(Slice message);
  // Bytes of messages that have not left.
  size_t waiting() const { return stream_ ? stream_->waiting() : 0; }
  // Once; nothing after it. `trailers`: metadata beside the status.
  void Finish(const GrpcStatus& status, const Headers* trailers = nullptr);

 private:
  friend class GrpcService;

  void Begin(Stream& stream);
  void OnHeaders(Stream& stream, bool end) override;
  void OnBody(Stream& stream, const Slice& bytes) override;
  void OnEnd(Stream& stream) override;
  void OnSent(Stream&, size_t) override {}
  void OnClosed(Stream& stream, CloseCode code) override;
  bool Refuse(std::string_view http_status, const GrpcStatus& status);
  void StartAnswer();

  GrpcService& service_;
  Stream* stream_ = nullptr;
  GrpcServerHandler* handler_ = nullptr;
  MessageReader reader_;
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
    size_t message_bytes = 64 << 20;
  };

  explicit GrpcService(Loop& loop) : GrpcService(loop, Options()) {}
  GrpcService(Loop& loop, Options options) : loop_(loop), options_(options) {}

  void Add(std::string method, Begin begin) { methods_[std::move(method)] = std::move(begin); }

  StreamHandler* OnStream(Stream& stream) override;

 private:
  friend class GrpcServerCall;

  Loop& loop_;
  const Options options_;
  std::unordered_map<std::string, Begin> methods_;
  std::string method_;  // for looking one up
  Headers headers_;     // for an answer
  std::vector<std::unique_ptr<GrpcServerCall>> all_;
  std::vector<GrpcServerCall*> free_;
};

}  // namespace torchfleet::net
