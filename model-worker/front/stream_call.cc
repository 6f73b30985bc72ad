#include "model-worker/front/stream_call.h"

#include <algorithm>
#include <utility>

#include "model-worker/front/answer.h"
#include "wire/stream_response.h"

namespace torchfleet::worker {
namespace {

// Answers that wait for the caller; beyond, none of its requests is begun.
constexpr size_t kMostUnread = 1 << 20;

}  // namespace

StreamCall& StreamCallPool::Take(net::GrpcServerCall& call) {
  StreamCall& taken = free_.Take(*this);
  taken.Begin(call);
  return taken;
}

StreamCall::~StreamCall() { pool_.loop_.ForgetTurnEnd(this); }

void StreamCall::Begin(net::GrpcServerCall& call) {
  call_ = &call;
  grpc_errors_ = call.metadata().ValueOr("triton_grpc_error", "") == "true";
  half_closed_ = finished_ = false;
  // Callers that open a stream before they have a request wait for this.
  call.SendMetadata({});
}

void StreamCall::OnMessage(net::GrpcServerCall&, const net::Slice& message) {
  waiting_.push_back(net::Slice(message));
  StartWaiting();
}

void StreamCall::OnHalfClose(net::GrpcServerCall&) {
  half_closed_ = true;
  FinishWhenDone();
}

void StreamCall::OnSent(net::GrpcServerCall&, size_t) {
  if (!waiting_.empty()) StartWaiting();
}

bool StreamCall::HasRoom() const {
  return running_.size() < kMostRunning && call_->waiting() < kMostUnread;
}

void StreamCall::StartWaiting() {
  while (!finished_ && !waiting_.empty() && HasRoom()) {
    const net::Slice message = std::move(waiting_.front());
    waiting_.pop_front();
    StreamCall::Item& item = pool_.items_.Take(pool_);
    running_.push_back(&item);
    item.Start(*this, message);
  }
  if (waiting_.empty()) {
    call_->GoOn();
  } else {
    call_->HoldBack();
  }
}

void StreamCall::Answered(Item& item, const InferTask& task,
                          absl::StatusOr<std::vector<OutputTensor>> outputs) {
  running_.erase(std::find(running_.begin(), running_.end(), &item));
  pool_.loop_.AtTurnEnd(this);
  if (finished_) return;
  absl::Status status = outputs.status();
  if (outputs.ok()) {
    status = SendResponse(task, *std::move(outputs), Wrapping::kStreamed, pool_.writer_, *call_);
  }
  if (!status.ok()) SendError(status, task.form().id);
}

void StreamCall::SendError(const absl::Status& status, std::string_view id) {
  const net::GrpcStatus wire = ToNet(status);
  if (grpc_errors_) return Finish(wire);
  call_->Send(wire::StreamError(wire.message, id));
}

void StreamCall::OnTurnEnd() {
  StartWaiting();
  FinishWhenDone();
}

void StreamCall::FinishWhenDone() {
  if (half_closed_ && waiting_.empty() && running_.empty()) Finish({});
}

void StreamCall::Finish(const net::GrpcStatus& status) {
  if (!std::exchange(finished_, true)) call_->Finish(status);
}

void StreamCall::OnDone(net::GrpcServerCall&, bool) {
  pool_.loop_.ForgetTurnEnd(this);
  call_ = nullptr;
  waiting_.clear();
  for (Item* const item : running_) item->Abandon();
  running_.clear();
  pool_.free_.Give(*this);
}

StreamCall::Item::Item(StreamCallPool& pool)
    : pool_(pool), task_(pool.context_, pool.box_, static_cast<InferTask::Asker&>(*this)) {}

void StreamCall::Item::Start(StreamCall& owner, const net::Slice& message) {
  owner_ = &owner;
  task_.Start(message, owner.call_->deadline(), OriginOf(*owner.call_));
}

void StreamCall::Item::Abandon() {
  owner_ = nullptr;
  task_.Abandon();
}

void StreamCall::Item::OnAnswer(InferTask& task,
                                absl::StatusOr<std::vector<OutputTensor>> outputs) {
  if (StreamCall* const owner = std::exchange(owner_, nullptr)) {
    owner->Answered(*this, task, std::move(outputs));
  }
  pool_.items_.Give(*this);
}

}  // namespace torchfleet::worker
