#pragma once
// A ModelStreamInfer call: each of its requests is checked, queued and run like
// a call of its own, and answered when it is done.
//
//   message ─► waiting ─► running (an InferTask) ─► response or error_message
//   half-close, and nothing waits or runs ─► OK
//
// A request that fails does not end the stream: its answer carries the text and
// the request's id. With the metadata `triton_grpc_error: true` it ends the
// stream with the status itself. At most kMostRunning requests of a stream are
// queued or run; beyond that, and while the caller does not read its answers, it
// may send no more than a window.
//
// Used again once the caller's side is over; requests that are with the model
// then are answered to nobody. Only on its loop's thread.

#include <deque>
#include <vector>

#include "model-worker/front/infer_task.h"
#include "net/buffer/free_list.h"
#include "net/grpc/server_call.h"
#include "wire/infer_writer.h"

namespace torchfleet::worker {

class StreamCallPool;

class StreamCall final : public net::GrpcServerHandler, private net::TurnEnd {
 public:
  static constexpr size_t kMostRunning = 32;

  explicit StreamCall(StreamCallPool& pool) : pool_(pool) {}
  ~StreamCall();

  void Begin(net::GrpcServerCall& call);

 private:
  friend class StreamCallPool;

  // A request of a stream. It outlives the call when the model has it.
  class Item final : private InferTask::Asker {
   public:
    explicit Item(StreamCallPool& pool);
    void Start(StreamCall& owner, const net::Slice& message);
    // Nobody waits any more. It gives itself back, now or later.
    void Abandon();

   private:
    void OnAnswer(InferTask& task, absl::StatusOr<std::vector<OutputTensor>> outputs) override;

    StreamCallPool& pool_;
    InferTask task_;
    StreamCall* owner_ = nullptr;
  };

  void OnMessage(net::GrpcServerCall& call, const net::Slice& message) override;
  void OnHalfClose(net::GrpcServerCall& call) override;
  void OnSent(net::GrpcServerCall& call, size_t count) override;
  void OnDone(net::GrpcServerCall& call, bool finished) override;
  // Where requests that are done make room.
  void OnTurnEnd() override;

  bool HasRoom() const;
  void StartWaiting();
  void Answered(Item& item, const InferTask& task,
                absl::StatusOr<std::vector<OutputTensor>> outputs);
  void SendError(const absl::Status& status, std::string_view id);
  void FinishWhenDone();
  void Finish(const net::GrpcStatus& status);

  StreamCallPool& pool_;
  net::GrpcServerCall* call_ = nullptr;
  std::deque<net::Slice> waiting_;
  std::vector<Item*> running_;
  bool grpc_errors_ = false;
  bool half_closed_ = false;
  bool finished_ = false;
};

// The calls of one loop and what they share. Its box ends first.
class StreamCallPool {
 public:
  StreamCallPool(net::Loop& loop, const InferContext& context, AnswerBox& box)
      : loop_(loop), context_(context), box_(box) {}

  StreamCall& Take(net::GrpcServerCall& call);

 private:
  friend class StreamCall;

  net::Loop& loop_;
  const InferContext& context_;
  AnswerBox& box_;
  wire::InferWriter writer_;
  net::FreeList<StreamCall::Item> items_;
  net::FreeList<StreamCall> free_;
};

}  // namespace torchfleet::worker
