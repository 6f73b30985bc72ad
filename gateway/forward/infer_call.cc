#include "gateway/forward/infer_call.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "base/grpc_status.h"
#include "base/status.h"
#include "gateway/balance/balance_policy.h"
#include "gateway/forward/header_rules.h"
#include "gateway/forward/worker_links.h"

namespace torchfleet::gateway {
namespace {

constexpr std::string_view kMethod = "/inference.GRPCInferenceService/ModelInfer";
constexpr std::string_view kContentType = "application/grpc";

uint64_t Random() {
  thread_local std::minstd_rand engine{std::random_device{}()};
  return engine();
}

net::GrpcStatus ToNet(const absl::Status& status) {
  const grpc::Status wire = ToGrpc(status);
  return {.code = status.code(), .message = wire.error_message(), .details = wire.error_details()};
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

InferCall::InferCall(InferCallPool& pool)
    : pool_(pool), worker_side_(*this), timer_(pool.loop_, [this] {
        Finish(absl::DeadlineExceededError(fmt::format(
            "the deadline passed before a worker of model '{}' answered", Clip(model_))));
      }) {}

void InferCall::OnHeaders(net::Stream& stream, bool end) {
  began_ = pool_.loop_.now();
  const net::Headers& headers = stream.headers();
  if (headers.ValueOr("grpc-encoding", "identity") != "identity") {
    return Finish(absl::UnimplementedError("compressed requests are not taken; send identity"));
  }
  if (const auto text = headers.Find("grpc-timeout")) {
    const auto timeout = net::ParseGrpcTimeout(*text);
    if (!timeout) return Finish(absl::InternalError("grpc-timeout cannot be read"));
    deadline_ = began_ + *timeout;
    timer_.Start(*timeout);
  }
  if (end) OnEnd(stream);
}

void InferCall::OnBody(net::Stream& stream, const net::Slice& bytes) {
  if (finished_) return stream.Consumed(bytes.size());
  unconsumed_ += bytes.size();
  if (!route_) {
    const auto head = head_.Take(bytes.bytes());
    if (head) return Route(*head, bytes);
    // What is kept here until the model is known is not the worker's yet.
    stream.Consumed(std::exchange(unconsumed_, 0));
    return;
  }
  if (!answering_) kept_.Add(bytes);
  if (worker_) worker_->Send(bytes, /*end=*/false);
}

void InferCall::OnEnd(net::Stream&) {
  caller_ended_ = true;
  if (finished_) return;
  if (!route_) return Finish(absl::InvalidArgumentError("the request holds no whole message"));
  if (worker_) worker_->Send(net::Slice(), /*end=*/true);
}

// `bytes` decided which model it is; what came before is in head_.
void InferCall::Route(const absl::StatusOr<wire::InferRequestHead>& head, const net::Slice& bytes) {
  if (!head.ok()) {
    calls_ = pool_.calls_.Find({});
    calls_->Begin();
    return Finish(head.status());
  }
  model_ = head->model_name;
  calls_ = pool_.calls_.Find(model_);
  calls_->Begin();
  fleet_ = pool_.fleet_.Get();
  const auto route = RoutePolicy::Choose(*fleet_, model_, head->model_version);
  if (!route.ok()) return Finish(route.status());
  route_ = *route;
  backends_ = pool_.backends_.Get();
  calls_->budget().Deposit();
  if (!head_.before().empty()) kept_.Add(net::Slice::Keep(std::string(head_.before())));
  kept_.Add(bytes);
  const bool whole = kept_.whole();
  auto backend = ChooseBackend();
  if (!backend || !Try(std::move(backend))) {
    AttemptFailed({absl::StatusCode::kUnavailable, ""}, /*answered=*/false, nullptr);
  } else if (!whole) {
    // The first piece alone is over the limit: it goes, and cannot go again.
    worker_->SendCopy(head_.before(), /*end=*/false);
    worker_->Send(bytes, /*end=*/false);
  }
}

std::shared_ptr<Backend> InferCall::ChooseBackend() {
  const Instant now = pool_.loop_.now();
  absl::InlinedVector<BalanceCandidate, 8> candidates;
  absl::InlinedVector<const std::shared_ptr<Backend>*, 8> backends;
  for (const std::string& address : route_->addresses) {
    const auto found = backends_->find(address);
    if (found == backends_->end()) continue;  // it has left since
    const auto& backend = found->second;
    backends.push_back(&backend);
    candidates.push_back(
        {.outstanding = backend->outstanding(),
         .failed_lately = backend->FailedLately(now),
         .tried = std::find(tried_.begin(), tried_.end(), backend.get()) != tried_.end()});
  }
  const auto choice = BalancePolicy::Choose({candidates.data(), candidates.size()}, Random());
  return choice ? *backends[*choice] : nullptr;
}

bool InferCall::Try(std::shared_ptr<Backend> backend) {
  tried_.push_back(backend.get());
  net::Http2Connection* const link =
      backend->net_address() ? pool_.links_->Find(*backend->net_address()) : nullptr;
  if (!link) {
    backend->SetFailed(pool_.loop_.now());
    return false;
  }
  backend_ = std::move(backend);
  backend_->Begin();
  attempt_over_ = false;
  net::Headers& headers = pool_.headers_;
  headers.Clear();
  headers.Add(":method", "POST");
  headers.Add(":scheme", "http");
  headers.Add(":path", kMethod);
  headers.Add(":authority", backend_->net_address()->text);
  headers.Add("te", "trailers");
  headers.Add("content-type", kContentType);
  if (deadline_ != Instant::Infinite()) {
    headers.Add("grpc-timeout", net::FormatGrpcTimeout(deadline_ - pool_.loop_.now()));
  }
  AddTravelling(caller_->headers(), headers);
  worker_ = link->Open(headers, /*end=*/false, worker_side_);
  kept_.SendTo(*worker_);
  if (caller_ended_) worker_->Send(net::Slice(), /*end=*/true);
  return true;
}

// The attempt is over, however its stream goes on.
void InferCall::LetGo() {
  if (std::exchange(attempt_over_, true) || !backend_) return;
  backend_->End();
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
    return call.AttemptFailed(status, answered, &stream.headers());
  }
  call.backend_->SetAnswered();
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
  call.caller_->Send(bytes, /*end=*/false);
}

void InferCall::WorkerSide::OnEnd(net::Stream& stream) {
  if (call.worker_ != &stream || call.finished_ || call.attempt_over_) return;
  const net::GrpcStatus status = net::ReadGrpcStatus(stream.trailers(), "200");
  call.LetGo();
  call.Finish(call.StatusForCaller(status, stream.trailers().Find("grpc-status").has_value()),
              &stream.trailers());
}

void InferCall::WorkerSide::OnClosed(net::Stream& stream, net::CloseCode code) {
  if (call.worker_ != &stream) return;
  call.worker_ = nullptr;
  if (!call.finished_ && !call.attempt_over_) {
    call.AttemptFailed(BrokenOff(code), /*answered=*/false, nullptr);
  }
  call.RecycleWhenClosed();
}

void InferCall::AttemptFailed(const net::GrpcStatus& status, bool answered,
                              const net::Headers* trailers) {
  const AttemptFailure failure{.code = status.code, .answered = answered};
  if (backend_) {
    if (answered) {
      backend_->SetAnswered();
    } else if (RetryPolicy::IsConnectionFailure(failure)) {
      backend_->SetFailed(pool_.loop_.now());
    }
  }
  LetGo();
  if (status.ok() && answered) return Finish(status, trailers);  // an answer without a message
  if (TryAnother(failure)) return;
  Finish(StatusForCaller(status, answered), trailers);
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

net::GrpcStatus InferCall::StatusForCaller(const net::GrpcStatus& status, bool answered) const {
  if (answered) {
    net::GrpcStatus cut = status;
    if (cut.message.size() > kMaxErrorText) cut.message = Clip(cut.message, kMaxErrorText);
    // A worker that does not say when to come back: we do.
    if (cut.code == absl::StatusCode::kUnavailable && cut.details.empty()) {
      return ToNet(WithRetryDelay(absl::UnavailableError(cut.message), kRetryDelay));
    }
    return cut;
  }
  const std::string model = Clip(model_);
  if (RetryPolicy::IsConnectionFailure({.code = status.code, .answered = false})) {
    return ToNet(WithRetryDelay(absl::UnavailableError(fmt::format(
                                    "no worker of model '{}' answered; try again later", model)),
                                kRetryDelay));
  }
  return {.code = status.code,
          .message = fmt::format("the call to a worker of model '{}' failed", model)};
}

void InferCall::Finish(const absl::Status& status) { Finish(ToNet(status), nullptr); }

void InferCall::Finish(const net::GrpcStatus& status, const net::Headers* trailers) {
  if (std::exchange(finished_, true)) return;
  timer_.Stop();
  Count(status.code);
  if (caller_) {
    net::Headers& headers = pool_.headers_;
    headers.Clear();
    if (!answering_) {
      headers.Add(":status", "200");
      headers.Add("content-type", kContentType);
    }
    net::AddGrpcStatus(status, headers);
    if (trailers) AddTravelling(*trailers, headers);
    if (answering_) {
      caller_->SendTrailers(headers);
    } else {
      caller_->SendHeaders(headers, /*end=*/true);
    }
  }
  // A worker that still works on it need not.
  if (worker_ && !attempt_over_) worker_->Reset(net::CloseCode::kCancel);
  LetGo();
}

void InferCall::Count(absl::StatusCode code) {
  if (!calls_) {
    calls_ = pool_.calls_.Find({});
    calls_->Begin();
  }
  calls_->End(code, pool_.loop_.now() - began_);
}

void InferCall::OnSent(net::Stream&, size_t count) {
  if (worker_) worker_->Consumed(count);
}

void InferCall::OnClosed(net::Stream&, net::CloseCode) {
  caller_ = nullptr;
  Finish(absl::CancelledError("the caller cancelled the call"));
  RecycleWhenClosed();
}

void InferCall::RecycleWhenClosed() {
  if (caller_ || worker_) return;
  head_.Clear();
  kept_.Clear();
  model_.clear();
  fleet_.reset();
  route_.reset();
  backends_.reset();
  calls_.reset();
  tried_.clear();
  deadline_ = Instant::Infinite();
  caller_ended_ = answering_ = finished_ = attempt_over_ = false;
  unconsumed_ = 0;
  pool_.free_.push_back(this);
}

InferCallPool::InferCallPool(net::Loop& loop, const Snapshot<FleetSnapshot>& fleet,
                             const BackendTable& backends, const ModelCallsTable& calls)
    : loop_(loop),
      fleet_(fleet),
      backends_(backends),
      calls_(calls),
      links_(std::make_unique<WorkerLinks>(loop)) {}

InferCallPool::~InferCallPool() = default;

InferCall& InferCallPool::Take(net::Stream& caller) {
  if (free_.empty()) {
    all_.push_back(std::make_unique<InferCall>(*this));
    free_.push_back(all_.back().get());
  }
  InferCall* const call = free_.back();
  free_.pop_back();
  call->Begin(caller);
  return *call;
}

}  // namespace torchfleet::gateway
