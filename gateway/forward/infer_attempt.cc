#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <utility>

#include "base/status.h"
#include "gateway/forward/header_rules.h"
#include "gateway/forward/infer_call.h"
#include "gateway/forward/method_names.h"
#include "gateway/forward/pushback.h"
#include "wire/caller.h"
#include "wire/load_report.h"

// The side of an InferCall that faces the workers: attempts, one at a time.

namespace torchfleet::gateway {
namespace {

constexpr std::string_view kContentType = "application/grpc";

uint64_t Random() {
  thread_local std::minstd_rand engine{std::random_device{}()};
  return engine();
}

net::GrpcStatus BrokenOff(net::CloseCode code) {
  // What was not begun, or refused before it began, is UNAVAILABLE like what
  // broke on the way: RetryPolicy tells them apart no further.
  if (code == net::CloseCode::kCancel) return {absl::StatusCode::kCancelled, "cancelled"};
  if (code == net::CloseCode::kEnhanceYourCalm) {
    return {absl::StatusCode::kResourceExhausted, "the worker was asked too much"};
  }
  return {absl::StatusCode::kUnavailable, "the connection broke"};
}

}  // namespace

std::shared_ptr<Backend> InferCall::ChooseBackend() const {
  const BalanceChoice choice = group_->Choose(pool_.loop_.now(), Random(), tried_);
  return choice.index ? group_->backends[*choice.index] : nullptr;
}

bool InferCall::Try(std::shared_ptr<Backend> backend) {
  tried_.push_back(backend.get());
  net::Http2Connection* const link =
      backend->net_address() ? pool_.links_.Find(*backend->net_address()) : nullptr;
  if (!link) {
    backend->health().Unreachable(pool_.loop_.now());
    return false;
  }
  backend_ = std::move(backend);
  backend_->health().Begin(pool_.index_);
  attempted_ = pool_.loop_.now();
  attempt_over_ = false;
  net::Headers& headers = pool_.headers_;
  headers.Clear();
  headers.Add(":method", "POST");
  headers.Add(":scheme", "http");
  headers.Add(":path", kInferMethod);
  headers.Add(":authority", backend_->net_address()->text);
  headers.Add("te", "trailers");
  headers.Add("content-type", kContentType);
  if (deadline_ != Instant::Infinite()) {
    headers.Add("grpc-timeout", net::FormatGrpcTimeout(deadline_ - pool_.loop_.now()));
  }
  AddTravelling(caller_->headers(), headers);
  headers.Add(wire::kCallerHeader, fmt::format("{}-{}", pool_.gateway_, caller_->connection()));
  if (route_->redirected) {
    headers.Add(wire::kRouteHeader, fmt::format("{}/{}", route_->model, route_->version));
  }
  ids_.AddTo(headers);
  worker_ = link->Open(headers, /*end=*/false, worker_side_);
  kept_.SendTo(*worker_);
  if (caller_ended_) worker_->Send(net::Slice(), /*end=*/true);
  return true;
}

// The attempt is over, however its stream goes on.
void InferCall::LetGo() {
  if (std::exchange(attempt_over_, true) || !backend_) return;
  backend_->health().End(pool_.index_);
  backend_.reset();
}

// A stream that was given up may go on for a while, and its call be another's.

void InferCall::WorkerSide::OnSent(net::Stream& stream, size_t count) {
  if (call.worker_ != &stream) return;
  // A retry sends what the caller's window was given back for already.
  const size_t back = std::min(count, call.unconsumed_);
  call.unconsumed_ -= back;
  if (call.caller_) call.caller_->Consumed(back);
}

void InferCall::WorkerSide::OnHeaders(net::Stream& stream, bool end) {
  if (call.worker_ != &stream || call.finished_) return;
  const std::string_view http = stream.headers().ValueOr(":status", "");
  if (end || http != "200") {
    const net::GrpcStatus status = net::ReadGrpcStatus(stream.headers(), http);
    const bool answered = stream.headers().Find("grpc-status").has_value();
    return call.AttemptFailed(status, answered ? FailureSource::kWorker : FailureSource::kBroken,
                              &stream.headers());
  }
  const Instant now = call.pool_.loop_.now();
  call.backend_->health().Answered(call.pool_.index_, now, now - call.attempted_);
  call.kept_.Drop();
  call.answering_ = true;
  net::Headers& headers = call.pool_.headers_;
  headers.Clear();
  headers.Add(":status", "200");
  headers.Add("content-type", kContentType);
  AddTravelling(stream.headers(), headers);
  call.caller_->SendHeaders(headers, /*end=*/false);
}

void InferCall::WorkerSide::OnBody(net::Stream& stream, const net::Slice& bytes) {
  if (call.worker_ != &stream || call.finished_ || call.attempt_over_) {
    return stream.Consumed(bytes.size());
  }
  call.bytes_out_ += bytes.size();
  call.caller_->Send(bytes, /*end=*/false);
}

void InferCall::WorkerSide::OnEnd(net::Stream& stream) {
  if (call.worker_ != &stream || call.finished_ || call.attempt_over_) return;
  const net::GrpcStatus status = net::ReadGrpcStatus(stream.trailers(), "200");
  call.TakeReport(stream.trailers());
  call.LetGo();
  call.Finish(call.StatusForCaller(status, stream.trailers().Find("grpc-status").has_value()),
              &stream.trailers());
}

void InferCall::WorkerSide::OnClosed(net::Stream& stream, net::CloseCode code) {
  if (call.worker_ != &stream) return;
  call.worker_ = nullptr;
  if (!call.finished_ && !call.attempt_over_) {
    const bool never_sent =
        code == net::CloseCode::kNeverSent || code == net::CloseCode::kRefusedStream;
    call.AttemptFailed(BrokenOff(code),
                       never_sent ? FailureSource::kNeverSent : FailureSource::kBroken, nullptr);
  }
  call.RecycleWhenClosed();
}

void InferCall::AttemptFailed(const net::GrpcStatus& status, FailureSource source,
                              const net::Headers* trailers) {
  const bool answered = source == FailureSource::kWorker;
  AttemptFailure failure{.code = status.code, .source = source};
  Pushback pushback;
  if (answered && status.code == absl::StatusCode::kUnavailable) {
    pushback = ReadPushback(status, trailers);
    failure.no_retry = pushback.no_retry;
  }
  if (backend_) {
    if (trailers) TakeReport(*trailers);
    TellHealth(failure, pushback.pause);
  }
  LetGo();
  if (status.ok() && answered) return Finish(status, trailers);  // an answer without a message
  if (TryAnother(failure)) return;
  Finish(StatusForCaller(status, answered), trailers);
}

void InferCall::TakeReport(const net::Headers& trailers) {
  const auto text = trailers.Find(wire::kLoadHeader);
  if (!text) return;
  if (const auto report = wire::ParseLoadReport(*text)) {
    backend_->health().Reported(pool_.loop_.now(), report->requests, report->capacity);
  }
}

void InferCall::TellHealth(const AttemptFailure& failure, absl::Duration pause) {
  EndpointHealth& health = backend_->health();
  const Instant now = pool_.loop_.now();
  switch (RetryPolicy::Meaning(failure)) {
    case FailureMeaning::kUnreachable:
      return health.Unreachable(now);
    case FailureMeaning::kLost:
      return health.Lost(now);
    case FailureMeaning::kRefused:
      return health.Refused(now, pause);
    case FailureMeaning::kModelFailed:
      return health.Erred(pool_.index_);
    case FailureMeaning::kRequest:
      return health.Spoke();
    case FailureMeaning::kNothing:
      return;
  }
}

bool InferCall::TryAnother(const AttemptFailure& failure) {
  while (!answering_ && kept_.whole() && route_ && RetryPolicy::MayTryAnother(failure) &&
         tried_.size() < kMaxAttempts && caller_) {
    auto backend = ChooseBackend();
    if (!backend || !calls_->budget().Withdraw(pool_.loop_.now())) return false;
    calls_->CountRetry();
    // The failed attempt's stream may still close; it is not the call's then.
    if (worker_) worker_->Reset(net::CloseCode::kCancel);
    worker_ = nullptr;
    if (Try(std::move(backend))) return true;
  }
  return false;
}

}  // namespace torchfleet::gateway
