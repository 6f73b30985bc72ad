#pragma once
// A gRPC call that the edge makes for a caller who speaks another protocol: to
// whoever handles it, it is a stream like any other.
//
//   request() filled ─► Start ─► Body … ─► End         OnAnswer ─► OnAnswerBytes …
//   ─► OnAnswerEnd or OnAnswerBroken                   Close, always, once started
//
// It may be answered while Start, Body or End still run. Flow control goes
// through: OnConsumed says how many bytes of the body are done with, and Taken
// how many of the answer.
//
// Lifecycle: used again after Close, which the caller does when its own stream
//   closes: never while the call's handler runs. Only on its loop's thread.

#include "gateway/protocol/grpc_entry.h"
#include "net/http/stream.h"

namespace torchfleet::gateway {

class InnerCall final : public net::Stream {
 public:
  // Who made the call.
  class Caller {
   public:
    virtual void OnAnswer(InnerCall& call, const net::Headers& headers) = 0;
    virtual void OnAnswerBytes(InnerCall& call, const net::Slice& bytes) = 0;
    // `trailers` hold the status; an answer without messages has nothing else.
    virtual void OnAnswerEnd(InnerCall& call, const net::Headers& trailers) = 0;
    // No status will come.
    virtual void OnAnswerBroken(InnerCall& call) = 0;
    virtual void OnConsumed(InnerCall& call, size_t count) = 0;

   protected:
    ~Caller() = default;
  };

  explicit InnerCall(Caller& caller) : caller_(caller) {}

  // The request's headers, to be filled before Start.
  net::Headers& request() { return headers_; }
  // The fields that every gRPC request has, for a call that `caller` asks for.
  void FillRequest(std::string_view method, const net::Stream& caller);

  void Start(GrpcEntry& entry, CallRecord& record, bool end);
  void Body(const net::Slice& bytes);
  void End();
  // One message, which is the whole body.
  void SendOnly(const net::Slice& message);
  void Taken(size_t count);
  // Tells the handler, if the call was started, and makes the object new.
  void Close(net::CloseCode code);
  bool started() const { return handler_ != nullptr; }

  void SendHeaders(const net::Headers& headers, bool end) override;
  void Send(net::Slice body, bool end) override;
  void SendCopy(std::string_view body, bool end) override;
  void SendTrailers(const net::Headers& trailers) override;
  void Reset(net::CloseCode code) override;
  void Consumed(size_t count) override;
  void AwaitBody(bool) override {}  // the caller's own stream is timed
  size_t waiting() const override { return waiting_; }

 private:
  Caller& caller_;
  net::StreamHandler* handler_ = nullptr;
  size_t waiting_ = 0;
  bool answered_ = false;  // to the end, or broken
};

}  // namespace torchfleet::gateway
