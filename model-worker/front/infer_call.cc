#include "model-worker/front/infer_call.h"

#include <utility>

#include "model-worker/front/answer.h"
#include "wire/caller.h"
#include "wire/load_report.h"

namespace torchfleet::worker {

InferCall& InferCallPool::Take(net::GrpcServerCall& call) {
  InferCall& taken = free_.Take(*this);
  taken.Begin(call);
  return taken;
}

InferCall::InferCall(InferCallPool& pool)
    : pool_(pool), task_(pool.context_, pool.box_, static_cast<InferTask::Asker&>(*this)) {}

void InferCall::OnMessage(net::GrpcServerCall& call, const net::Slice& message) {
  if (std::exchange(has_message_, true)) {
    return call.Finish({absl::StatusCode::kInternal, "several messages came; expected one"});
  }
  message_ = net::Slice(message);
}

void InferCall::OnHalfClose(net::GrpcServerCall& call) {
  if (!has_message_) {
    return call.Finish({absl::StatusCode::kInternal, "no message came; expected one"});
  }
  asking_ = true;
  const net::Slice message = std::move(message_);
  task_.Start(message, call.deadline(), OriginOf(call));
}

void InferCall::OnAnswer(InferTask& task, absl::StatusOr<std::vector<OutputTensor>> outputs) {
  asking_ = false;
  if (call_) {
    absl::Status status = outputs.status();
    if (outputs.ok()) {
      status = SendResponse(task, *std::move(outputs), Wrapping::kNone, pool_.writer_, *call_);
    }
    const bool by_gateway = call_->metadata().Find(wire::kCallerHeader).has_value();
    if (by_gateway) {
      pool_.trailers_.Clear();
      pool_.trailers_.Add(wire::kLoadHeader, wire::FormatLoadReport(task.load()));
    }
    call_->Finish(status.ok() ? net::GrpcStatus() : ToNet(status),
                  by_gateway ? &pool_.trailers_ : nullptr);
  } else {
    pool_.free_.Give(*this);
  }
}

void InferCall::OnDone(net::GrpcServerCall&, bool) {
  call_ = nullptr;
  message_ = net::Slice();
  has_message_ = false;
  if (asking_) {
    task_.Abandon();  // gives it back, now or later
  } else {
    pool_.free_.Give(*this);
  }
}

}  // namespace torchfleet::worker
