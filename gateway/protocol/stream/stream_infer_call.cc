#include "gateway/protocol/stream/stream_infer_call.h"

#include <algorithm>
#include <utility>

#include "gateway/forward/header_rules.h"
#include "gateway/forward/method_names.h"
#include "gateway/forward/request_head.h"
#include "net/grpc/incoming.h"
#include "wire/infer_request_scan.h"
#include "wire/stream_response.h"

namespace torchfleet::gateway {
namespace {

// Answers that wait for the caller; beyond, none of its requests is begun.
constexpr size_t kMostWaiting = 1 << 20;

}  // namespace

StreamInferCall& StreamInferCallPool::Take(net::Stream& caller, CallRecord* outer) {
  StreamInferCall& call = free_.Take(*this);
  call.Begin(caller, outer);
  return call;
}

StreamInferCall::StreamInferCall(StreamInferCallPool& pool)
    : pool_(pool), reader_(RequestHead::kMaxMessage), timer_(pool.loop_, [this] {
        Finish({absl::StatusCode::kDeadlineExceeded, "the stream's deadline passed"});
      }) {}

StreamInferCall::~StreamInferCall() { pool_.loop_.ForgetTurnEnd(this); }

void StreamInferCall::OnHeaders(net::Stream& stream, bool end) {
  const net::Headers& headers = stream.headers();
  ids_.Take(headers);
  grpc_errors_ = headers.ValueOr("triton_grpc_error", "") == "true";
  if (headers.ValueOr("grpc-encoding", "identity") != "identity") {
    return Finish(
        {absl::StatusCode::kUnimplemented, "compressed requests are not taken; send identity"});
  }
  if (const auto text = headers.Find("grpc-timeout")) {
    const auto timeout = net::ParseGrpcTimeout(*text);
    if (!timeout) return Finish({absl::StatusCode::kInternal, "grpc-timeout cannot be read"});
    deadline_ = pool_.loop_.now() + *timeout;
    timer_.Start(*timeout);
  }
  net::Headers& answer = pool_.headers_;
  answer.Clear();
  answer.Add(":status", "200");
  answer.Add("content-type", "application/grpc");
  stream.SendHeaders(answer, /*end=*/false);
  answering_ = true;
  stream.AwaitBody(false);
  if (end) OnEnd(stream);
}

void StreamInferCall::OnBody(net::Stream& stream, const net::Slice& bytes) {
  if (finished_) return stream.Consumed(bytes.size());
  const absl::Status status =
      reader_.Take(bytes, pool_.loop_.blocks(),
                   [this](const net::Slice& message) { waiting_.push_back(net::Slice(message)); });
  if (!status.ok()) {
    stream.Consumed(bytes.size());
    return Finish({status.code(), std::string(status.message())});
  }
  stream.AwaitBody(!reader_.AtBoundary());
  kept_ += bytes.size();
  StartWaiting();
}

void StreamInferCall::OnEnd(net::Stream&) {
  half_closed_ = true;
  if (!finished_ && !reader_.AtBoundary()) {
    return Finish({absl::StatusCode::kInternal, "the stream ended inside a message"});
  }
  FinishWhenDone();
}

void StreamInferCall::OnSent(net::Stream&, size_t) {
  if (!waiting_.empty()) StartWaiting();
}

bool StreamInferCall::HasRoom() const {
  return running_.size() < kMostRunning && caller_->waiting() < kMostWaiting;
}

void StreamInferCall::StartWaiting() {
  while (!finished_ && !waiting_.empty() && HasRoom()) {
    const net::Slice message = std::move(waiting_.front());
    waiting_.pop_front();
    if (free_.empty()) free_.push_back(std::make_unique<Item>(*this));
    running_.push_back(std::move(free_.back()));
    free_.pop_back();
    running_.back()->Start(message);
  }
  if (waiting_.empty() && caller_) caller_->Consumed(std::exchange(kept_, 0));
}

void StreamInferCall::OnTurnEnd() {
  for (size_t i = 0; i < running_.size();) {
    if (!running_[i]->done()) {
      ++i;
      continue;
    }
    running_[i]->Close(net::CloseCode::kNoError);
    free_.push_back(std::move(running_[i]));
    running_[i] = std::move(running_.back());
    running_.pop_back();
  }
  if (caller_ == nullptr) return;
  StartWaiting();
  FinishWhenDone();
}

void StreamInferCall::FinishWhenDone() {
  if (half_closed_ && waiting_.empty() && running_.empty()) Finish({});
}

void StreamInferCall::Finish(const net::GrpcStatus& status) {
  if (std::exchange(finished_, true) || caller_ == nullptr) return;
  timer_.Stop();
  net::Headers& fields = pool_.headers_;
  fields.Clear();
  if (!answering_) {
    fields.Add(":status", "200");
    fields.Add("content-type", "application/grpc");
  }
  net::AddGrpcStatus(status, fields);
  if (answering_) {
    caller_->SendTrailers(fields);
  } else {
    caller_->SendHeaders(fields, /*end=*/true);
  }
}

void StreamInferCall::OnClosed(net::Stream&, net::CloseCode) {
  caller_ = nullptr;
  outer_ = nullptr;
  finished_ = true;
  timer_.Stop();
  pool_.loop_.ForgetTurnEnd(this);
  for (auto& item : running_) {
    item->Close(net::CloseCode::kCancel);
    free_.push_back(std::move(item));
  }
  running_.clear();
  waiting_.clear();
  reader_.Clear();
  kept_ = 0;
  deadline_ = Instant::Infinite();
  grpc_errors_ = answering_ = half_closed_ = finished_ = false;
  pool_.free_.Give(*this);
}

void StreamInferCall::SendAnswer(const net::Slice& response) {
  if (finished_) return;
  const std::string head = wire::StreamResponseHead(response.size());
  char prefix[net::kGrpcPrefixSize];
  net::WriteGrpcPrefix(head.size() + response.size(), prefix);
  caller_->SendCopy({prefix, sizeof prefix}, /*end=*/false);
  caller_->SendCopy(head, /*end=*/false);
  caller_->Send(net::Slice(response), /*end=*/false);
}

void StreamInferCall::SendError(const net::GrpcStatus& status, std::string_view id) {
  if (grpc_errors_) return Finish(status);
  if (!finished_) net::SendGrpcMessage(*caller_, wire::StreamError(status.message, id));
}

StreamInferCall::Item::Item(StreamInferCall& owner)
    : owner_(owner), call_(*this), reader_(2 * RequestHead::kMaxMessage) {}

void StreamInferCall::Item::Start(const net::Slice& message) {
  began_ = owner_.pool_.loop_.now();
  message_ = net::Slice(message);
  const net::Headers& headers = owner_.caller_->headers();
  call_.FillRequest(kInferMethod, *owner_.caller_);
  if (owner_.deadline_ != Instant::Infinite()) {
    call_.request().Add("grpc-timeout", net::FormatGrpcTimeout(owner_.deadline_ - began_));
  }
  AddTravelling(headers, call_.request());
  owner_.ids_.AddTo(call_.request());
  call_.Start(owner_.pool_.entry_, record_, /*end=*/false);
  call_.SendOnly(message);
}

void StreamInferCall::Item::OnAnswerBytes(InnerCall& call, const net::Slice& bytes) {
  const absl::Status status =
      reader_.Take(bytes, owner_.pool_.loop_.blocks(),
                   [this](const net::Slice& response) { owner_.SendAnswer(response); });
  if (!status.ok()) Done({absl::StatusCode::kInternal, "the model's answer cannot be read"});
  call.Taken(bytes.size());
}

void StreamInferCall::Item::OnAnswerEnd(InnerCall&, const net::Headers& trailers) {
  Done(net::ReadGrpcStatus(trailers, "200"));
}

void StreamInferCall::Item::OnAnswerBroken(InnerCall&) {
  Done({absl::StatusCode::kUnavailable, "the call broke off; try again"});
}

void StreamInferCall::Item::Done(const net::GrpcStatus& status) {
  if (std::exchange(done_, true)) return;
  if (!status.ok()) {
    const std::string_view pieces[] = {message_.bytes()};
    const auto head = wire::ScanInferRequest(pieces);
    owner_.SendError(status, head.ok() ? head->id : "");
  }
  Tell(status.code);
  owner_.pool_.loop_.AtTurnEnd(&owner_);
}

void StreamInferCall::Item::Tell(absl::StatusCode code) {
  if (CallRecord* const outer = owner_.outer_) {
    outer->model = record_.model;
    outer->version = record_.version;
    outer->attempts += record_.attempts;
    outer->bytes_in += record_.bytes_in;
    outer->bytes_out += record_.bytes_out;
    return;
  }
  record_.method = kStreamInferMethod;
  record_.ids = owner_.ids_;
  record_.code = code;
  record_.duration = owner_.pool_.loop_.now() - began_;
  owner_.pool_.log_.Add(record_);
}

void StreamInferCall::Item::Close(net::CloseCode code) {
  done_ = true;
  call_.Close(code);
  message_ = net::Slice();
  reader_.Clear();
  record_.Clear();
  done_ = false;
}

}  // namespace torchfleet::gateway
