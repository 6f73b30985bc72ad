#pragma once
// A ModelInfer call: one request, one answer.
//
// Used again once the caller's side is over and its request is answered. Only
// on its loop's thread.

#include "model-worker/front/infer_task.h"
#include "net/buffer/free_list.h"
#include "net/grpc/server_call.h"
#include "wire/infer_writer.h"

namespace torchfleet::worker {

class InferCallPool;

class InferCall final : public net::GrpcServerHandler, private InferTask::Asker {
 public:
  explicit InferCall(InferCallPool& pool);

  void Begin(net::GrpcServerCall& call) { call_ = &call; }

 private:
  void OnMessage(net::GrpcServerCall& call, const net::Slice& message) override;
  void OnHalfClose(net::GrpcServerCall& call) override;
  void OnDone(net::GrpcServerCall& call, bool finished) override;
  void OnAnswer(InferTask& task, absl::StatusOr<std::vector<OutputTensor>> outputs) override;

  InferCallPool& pool_;
  InferTask task_;
  net::GrpcServerCall* call_ = nullptr;  // null once the caller's side is over
  net::Slice message_;
  bool has_message_ = false;
  bool asking_ = false;
};

// The calls of one loop and what they share. Its box ends first.
class InferCallPool {
 public:
  InferCallPool(const InferContext& context, AnswerBox& box) : context_(context), box_(box) {}

  InferCall& Take(net::GrpcServerCall& call);

 private:
  friend class InferCall;

  const InferContext& context_;
  wire::InferWriter writer_;
  net::Headers trailers_;
  AnswerBox& box_;
  net::FreeList<InferCall> free_;
};

}  // namespace torchfleet::worker
