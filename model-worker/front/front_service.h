#pragma once
// What a worker's port does with the streams of one loop: inference is queued
// for the model, every other method goes to the ordinary gRPC server behind.
//
// Borrows its context. Only on its loop's thread.

#include "model-worker/front/infer_call.h"
#include "model-worker/front/stream_call.h"
#include "net/grpc/passed_call.h"
#include "net/server/service.h"

namespace torchfleet::worker {

class FrontService final : public net::Service {
 public:
  FrontService(net::Loop& loop, const InferContext& context, const net::Address& behind);

  net::StreamHandler* OnStream(net::Stream& stream) override;

 private:
  LoopRunner runner_;
  InferCallPool infer_calls_;
  StreamCallPool stream_calls_;
  net::GrpcService inference_;
  net::PassedCallPool others_;
  AnswerBox box_;  // goes first: it waits for the calls' tasks
};

}  // namespace torchfleet::worker
