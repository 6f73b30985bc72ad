#pragma once
// A gRPC-Web call: gRPC with its trailers inside the body, so that browsers can
// read them; binary or base64 (`application/grpc-web[+proto]`,
// `application/grpc-web-text[+proto]`).
//
// Bytes pass as they come, both ways, in the pace of the slower side.
// Source: grpc/doc/PROTOCOL-WEB.md.
//
// Lifecycle: Begin for each call; used again once its stream is closed. Only on
// its loop's thread.

#include <memory>
#include <vector>

#include "gateway/protocol/grpc_entry.h"
#include "gateway/protocol/inner_call.h"
#include "gateway/protocol/web/base64_reader.h"
#include "gateway/protocol/web/cross_origin.h"
#include "gateway/record/access_log.h"
#include "gateway/record/call_record.h"
#include "net/buffer/free_list.h"
#include "net/http/stream.h"
#include "net/loop/loop.h"

namespace torchfleet::gateway {

class GrpcWebCallPool;

class GrpcWebCall final : public net::StreamHandler, private InnerCall::Caller {
 public:
  explicit GrpcWebCall(GrpcWebCallPool& pool) : pool_(pool), inner_(*this) {}

  static bool IsContentType(std::string_view content_type) {
    return content_type.starts_with("application/grpc-web");
  }

  void Begin(net::Stream& caller) { caller_ = &caller; }

 private:
  void OnHeaders(net::Stream& stream, bool end) override;
  void OnBody(net::Stream& stream, const net::Slice& bytes) override;
  void OnEnd(net::Stream& stream) override;
  void OnSent(net::Stream& stream, size_t count) override;
  void OnClosed(net::Stream& stream, net::CloseCode code) override;

  void OnAnswer(InnerCall& call, const net::Headers& headers) override;
  void OnAnswerBytes(InnerCall& call, const net::Slice& bytes) override;
  void OnAnswerEnd(InnerCall& call, const net::Headers& trailers) override;
  void OnAnswerBroken(InnerCall& call) override;
  void OnConsumed(InnerCall& call, size_t count) override;

  void SendAnswerHeaders(const net::Headers* metadata);
  void RefuseText();
  void Finish(const net::Headers& trailers);
  void Record(absl::StatusCode code);
  void SendPiece(std::string_view bytes, bool end);

  // Bytes in two forms, given on in one and accounted for in the other.
  struct Toll {
    size_t outer = 0;  // waiting, as the caller has them
    size_t inner = 0;  // the same, as the inner call has them
    // Of `count` bytes of one form that are done with, how many the other has.
    static size_t Exchange(size_t count, size_t& from, size_t& to);
  };

  GrpcWebCallPool& pool_;
  InnerCall inner_;
  net::Stream* caller_ = nullptr;
  CallRecord record_;
  Instant began_;
  bool text_ = false;
  bool answering_ = false;
  bool finished_ = false;
  Base64Reader reader_;
  Toll request_;
  Toll answer_;
};

class GrpcWebCallPool {
 public:
  GrpcWebCallPool(net::Loop& loop, GrpcEntry& entry, const CrossOrigin& origins,
                  AccessLogLines& log)
      : loop_(loop), entry_(entry), origins_(origins), log_(log) {}

  GrpcWebCall& Take(net::Stream& caller);

 private:
  friend class GrpcWebCall;

  net::Loop& loop_;
  GrpcEntry& entry_;
  const CrossOrigin& origins_;
  AccessLogLines& log_;
  net::Headers headers_;
  net::FreeList<GrpcWebCall> free_;
};

}  // namespace torchfleet::gateway
