#include "model-worker/front/infer_call.h"

#include <algorithm>
#include <utility>

#include "base/grpc_status.h"
#include "base/status.h"
#include "model-worker/front/codec.h"

namespace torchfleet::worker {
namespace {

// A tensor of fewer bytes is copied into the message. Up to here both cost the
// same.
constexpr size_t kWorthReference = 16 << 10;

net::GrpcStatus ToNet(const absl::Status& status) {
  const grpc::Status wire = ToGrpc(status);
  return {.code = status.code(), .message = wire.error_message(), .details = wire.error_details()};
}

}  // namespace

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
  task_.Start(message, call.deadline());
}

void InferCall::OnAnswer(InferTask& task, absl::StatusOr<std::vector<OutputTensor>> outputs) {
  asking_ = false;
  if (call_) {
    absl::Status status = outputs.status();
    if (outputs.ok()) status = Send(task, *std::move(outputs));
    call_->Finish(status.ok() ? net::GrpcStatus() : ToNet(status));
  } else {
    pool_.free_.Give(*this);
  }
}

absl::Status InferCall::Send(const InferTask& task, std::vector<OutputTensor> outputs) {
  ASSIGN_OR_RETURN(const auto pieces, WriteResponse(pool_.context_.spec, task.id(), task.wanted(),
                                                    outputs, pool_.writer_));
  char prefix[net::kGrpcPrefixSize];
  net::WriteGrpcPrefix(pool_.writer_.size(), prefix);
  call_->SendBytes(std::string_view(prefix, sizeof prefix));
  for (const std::string_view piece : pieces) {
    const auto tensor = std::find_if(outputs.begin(), outputs.end(), [&](const auto& output) {
      return output.bytes.data() == piece.data();
    });
    if (tensor == outputs.end() || piece.size() < kWorthReference) {
      call_->SendBytes(piece);
    } else {
      call_->SendBytes(net::Slice::Keep(std::move(tensor->bytes)));
    }
  }
  return absl::OkStatus();
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
