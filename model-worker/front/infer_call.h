#pragma once
// One ModelInfer call: decoded and checked on gRPC's thread, queued, answered
// from an executor's.
//
// Owns itself until gRPC is done with it; the queue and the executor share it
// meanwhile, since it holds the request's bytes.

#include <memory>
#include <mutex>

#include "absl/base/thread_annotations.h"
#include "inference/grpc_service.grpc.pb.h"
#include "model-worker/execute/model_spec.h"
#include "model-worker/front/codec.h"
#include "model-worker/front/model_statistics.h"
#include "model-worker/front/open_calls.h"
#include "model-worker/queue/request_queue.h"

namespace torchfleet::worker {

class InferCall : public grpc::ServerUnaryReactor, public Request {
 public:
  // What every call of a worker shares; outlives the calls.
  struct Context {
    const ModelSpec& spec;
    RequestQueue& queue;
    ModelStatistics& statistics;
    OpenCalls& open_calls;
    const Clock& clock;
  };

  // Parses the request itself: gRPC's own parser would answer UNIMPLEMENTED to
  // bytes that are no message. Answers at once when the request is wrong, else queues it. The call
  // was begun in `context.open_calls` and ends there.
  static InferCall* Begin(const Context& context, grpc::CallbackServerContext* call,
                          const grpc::ByteBuffer* request, grpc::ByteBuffer* response);

  const CheckedRequest& checked() const override { return checked_; }
  Instant deadline() const override { return deadline_; }
  void Answer(absl::StatusOr<std::vector<OutputTensor>> outputs,
              const RequestTimes& times) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  InferCall(const Context& context, grpc::ByteBuffer* response)
      : context_(context), response_bytes_(response) {}

  absl::Status Parse(const grpc::ByteBuffer& request);

  absl::Status Check();
  void End(const absl::Status& status);

  const Context context_;
  grpc::ByteBuffer* const response_bytes_;
  inference::ModelInferRequest request_;
  std::shared_ptr<InferCall> self_;
  DecodedRequest decoded_;
  CheckedRequest checked_;
  Instant deadline_ = Instant::Infinite();
};

}  // namespace torchfleet::worker
