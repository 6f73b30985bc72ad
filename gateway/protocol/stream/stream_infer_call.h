#pragma once
// ModelStreamInfer: a stream of inference requests, each of which is routed,
// forwarded and retried as a call of its own; answers go back as they come.
//
//   message ─► waiting ─► running (a ModelInfer inside) ─► answer or error_message
//   half-close, and nothing waits or runs ─► OK
//
// A request that fails does not end the stream: its answer carries the text and
// the request's id. With the metadata `triton_grpc_error: true` it ends the
// stream with the status itself. At most kMostRunning requests of a stream run;
// beyond that, and while the caller does not read its answers, it may send no
// more than a window.
//
// Lifecycle: Begin for each call; used again once its stream is closed. Only on
// its loop's thread.

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "gateway/protocol/grpc_entry.h"
#include "gateway/protocol/inner_call.h"
#include "gateway/record/access_log.h"
#include "gateway/record/call_ids.h"
#include "gateway/record/call_record.h"
#include "net/buffer/free_list.h"
#include "net/grpc/message_reader.h"
#include "net/grpc/status.h"
#include "net/http/stream.h"
#include "net/loop/loop.h"

namespace torchfleet::gateway {

class StreamInferCallPool;

class StreamInferCall final : public net::StreamHandler, private net::TurnEnd {
 public:
  static constexpr size_t kMostRunning = 32;

  explicit StreamInferCall(StreamInferCallPool& pool);
  ~StreamInferCall();

  // `outer`: the record of the call that this one is made for, which tells of its
  // requests; none, and each request is told of by itself.
  void Begin(net::Stream& caller, CallRecord* outer) {
    caller_ = &caller;
    outer_ = outer;
  }

 private:
  // A request of the stream.
  class Item final : private InnerCall::Caller {
   public:
    explicit Item(StreamInferCall& owner);
    void Start(const net::Slice& message);
    void Close(net::CloseCode code);
    bool done() const { return done_; }

   private:
    void OnAnswer(InnerCall&, const net::Headers&) override {}
    void OnAnswerBytes(InnerCall& call, const net::Slice& bytes) override;
    void OnAnswerEnd(InnerCall& call, const net::Headers& trailers) override;
    void OnAnswerBroken(InnerCall& call) override;
    void OnConsumed(InnerCall&, size_t) override {}
    void Done(const net::GrpcStatus& status);
    void Tell(absl::StatusCode code);

    StreamInferCall& owner_;
    InnerCall call_;
    net::MessageReader reader_;
    net::Slice message_;
    CallRecord record_;
    Instant began_;
    bool done_ = false;
  };

  void OnHeaders(net::Stream& stream, bool end) override;
  void OnBody(net::Stream& stream, const net::Slice& bytes) override;
  void OnEnd(net::Stream& stream) override;
  void OnSent(net::Stream& stream, size_t count) override;
  void OnClosed(net::Stream& stream, net::CloseCode code) override;
  // Where requests that are done make room.
  void OnTurnEnd() override;

  bool HasRoom() const;
  void StartWaiting();
  void SendAnswer(const net::Slice& response);
  void SendError(const net::GrpcStatus& status, std::string_view id);
  void FinishWhenDone();
  void Finish(const net::GrpcStatus& status);

  StreamInferCallPool& pool_;
  net::Stream* caller_ = nullptr;
  CallRecord* outer_ = nullptr;
  net::MessageReader reader_;
  net::Timer timer_;
  CallIds ids_;
  Instant deadline_ = Instant::Infinite();
  std::deque<net::Slice> waiting_;
  size_t kept_ = 0;  // of the caller's window
  std::vector<std::unique_ptr<Item>> running_;
  std::vector<std::unique_ptr<Item>> free_;
  bool grpc_errors_ = false;
  bool answering_ = false;  // the caller has been sent headers
  bool half_closed_ = false;
  bool finished_ = false;
};

// The calls of one loop and what they share.
class StreamInferCallPool {
 public:
  StreamInferCallPool(net::Loop& loop, GrpcEntry& entry, AccessLogLines& log)
      : loop_(loop), entry_(entry), log_(log) {}

  StreamInferCall& Take(net::Stream& caller, CallRecord* outer);

 private:
  friend class StreamInferCall;

  net::Loop& loop_;
  GrpcEntry& entry_;
  AccessLogLines& log_;
  net::Headers headers_;
  net::FreeList<StreamInferCall> free_;
};

}  // namespace torchfleet::gateway
