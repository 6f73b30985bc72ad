#include "model-worker/front/infer_call.h"

#include <fmt/format.h>

#include <new>

#include "absl/time/clock.h"
#include "base/grpc_status.h"
#include "base/status.h"

namespace torchfleet::worker {
namespace {

// gRPC tells deadlines by the wall clock; ours run on the monotonic one.
Instant Deadline(const grpc::CallbackServerContext& call, const Clock& clock) {
  const auto deadline = call.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return Instant::Infinite();
  return clock.Now() + (absl::FromChrono(deadline) - absl::Now());
}

}  // namespace

InferCall* InferCall::Begin(const Context& context, grpc::CallbackServerContext* call,
                            const grpc::ByteBuffer* request, grpc::ByteBuffer* response) {
  auto self = std::shared_ptr<InferCall>(new InferCall(context, response));
  self->self_ = self;
  self->deadline_ = Deadline(*call, context.clock);
  absl::Status status;
  try {
    status = self->Parse(*request);
    if (status.ok()) status = self->Check();
  } catch (const std::bad_alloc&) {
    status = absl::ResourceExhaustedError("the worker's memory does not suffice for this request");
  }
  if (status.ok()) status = context.queue.Push(self);
  if (!status.ok()) {
    context.statistics.Counted(status.code());
    self->End(status);
  }
  return self.get();
}

absl::Status InferCall::Parse(const grpc::ByteBuffer& request) {
  // Deserialize takes the bytes; a copy of the buffer shares them.
  grpc::ByteBuffer bytes = request;
  if (grpc::SerializationTraits<inference::ModelInferRequest>::Deserialize(&bytes, &request_)
          .ok()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError("the request is not a well-formed message");
}

absl::Status InferCall::Check() {
  const ModelSpec& spec = context_.spec;
  if (request_.model_name() != spec.name) {
    return absl::NotFoundError(fmt::format("model '{}' is not here; this worker serves '{}'",
                                           Clip(request_.model_name()), spec.name));
  }
  if (!request_.model_version().empty() && request_.model_version() != spec.version) {
    return absl::NotFoundError(
        fmt::format("version '{}' of model '{}' is not here; this worker serves version {}",
                    Clip(request_.model_version()), spec.name, spec.version));
  }
  RETURN_IF_ERROR(CheckCounts(spec, static_cast<size_t>(request_.inputs_size()),
                              static_cast<size_t>(request_.outputs_size())));
  ASSIGN_OR_RETURN(decoded_, DecodeRequest(request_));
  ASSIGN_OR_RETURN(checked_, CheckRequest(spec, decoded_.inputs, decoded_.requested_outputs));
  return absl::OkStatus();
}

void InferCall::Answer(absl::StatusOr<std::vector<OutputTensor>> outputs,
                       const RequestTimes& times) {
  context_.statistics.Answered(outputs.status().code(), times, checked_.batch.value_or(1),
                               absl::Now());
  if (outputs.ok()) {
    inference::ModelInferResponse response;
    EncodeResponse(context_.spec, checked_.outputs, *std::move(outputs), &response);
    response.set_id(request_.id());
    bool own_buffer = false;
    const grpc::Status written =
        grpc::SerializationTraits<inference::ModelInferResponse>::Serialize(
            response, response_bytes_, &own_buffer);
    End(written.ok() ? absl::OkStatus()
                     : absl::ResourceExhaustedError("the answer is too large for one message"));
  } else {
    End(outputs.status());
  }
}

void InferCall::OnCancel() {
  // What runs already finishes on its own; its answer goes nowhere.
  if (!context_.queue.Remove(this)) return;
  const absl::Status status = absl::CancelledError("the caller has gone");
  context_.statistics.Counted(status.code());
  End(status);
}

void InferCall::OnDone() {
  OpenCalls& open_calls = context_.open_calls;
  self_.reset();
  open_calls.End();
}

void InferCall::End(const absl::Status& status) { Finish(ToGrpc(status)); }

}  // namespace torchfleet::worker
