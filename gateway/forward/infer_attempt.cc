#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "gateway/forward/header_rules.h"
#include "gateway/forward/hedge_policy.h"
#include "gateway/forward/infer_call.h"
#include "gateway/forward/method_names.h"
#include "gateway/forward/pushback.h"
#include "gateway/forward/random.h"
#include "wire/caller.h"
#include "wire/load_report.h"

// The side of an InferCall that faces the workers: attempts, one at a time.

namespace torchfleet::gateway {
namespace {

constexpr std::string_view kContentType = "application/grpc";

// A worker's timer may pass so much before ours.
constexpr absl::Duration kTimersDiffer = absl::Milliseconds(10);

// `left`: until the call's deadline.
net::GrpcStatus BrokenOff(net::CloseCode code, absl::Duration left) {
  // What was not begun, or refused before it began, is UNAVAILABLE like what
  // broke on the way: RetryPolicy tells them apart no further.
  if (code == net::CloseCode::kCancel) {
    // All that a worker can say of a deadline that passes behind a part of the answer.
    if (left <= kTimersDiffer) return {absl::StatusCode::kDeadlineExceeded, "the deadline passed"};
    return {absl::StatusCode::kCancelled, "cancelled"};
  }
  if (code == net::CloseCode::kEnhanceYourCalm) {
    return {absl::StatusCode::kResourceExhausted, "the worker was asked too much"};
  }
  return {absl::StatusCode::kUnavailable, "the connection broke"};
}

}  // namespace

BalanceChoice InferCall::Choose() const {
  return group_->Choose(pool_.loop_.now(), Random(), tried_, key_);
}

bool InferCall::Try(const std::shared_ptr<Backend>& backend, bool hedge) {
  tried_.push_back(backend.get());
  net::Http2Connection* const link =
      backend->net_address() ? pool_.links_.Find(*backend->net_address()) : nullptr;
  if (!link) {
    backend->health().Unreachable(pool_.loop_.now());
    return false;
  }
  Attempt& attempt = attempts_[attempts_[0].stream ? 1 : 0];
  attempt.backend = backend;
  attempt.backend->health().Begin(pool_.index_, hedge               ? AttemptKind::kHedge
                                                : tried_.size() > 1 ? AttemptKind::kRetry
                                                                    : AttemptKind::kFirst);
  attempt.hedge = hedge;
  attempt.died = false;
  FillHeaders(
      *backend->net_address(), deadline_ - pool_.loop_.now(),
      route_->redirected ? fmt::format("{}/{}", route_->model, route_->version) : std::string());
  attempt.stream = link->Open(pool_.headers_, /*end=*/false, attempt);
  kept_.SendTo(*attempt.stream);
  attempt.began = pool_.loop_.now();
  if (caller_ended_) {
    attempt.stream->Send(net::Slice(), /*end=*/true);
    Await(attempt);
  }
  return true;
}

void InferCall::FillHeaders(const net::Address& address, absl::Duration timeout,
                            const std::string& route) {
  net::Headers& headers = pool_.headers_;
  headers.Clear();
  headers.Add(":method", "POST");
  headers.Add(":scheme", "http");
  headers.Add(":path", kInferMethod);
  headers.Add(":authority", address.text);
  headers.Add("te", "trailers");
  headers.Add("content-type", kContentType);
  if (timeout != absl::InfiniteDuration()) {
    headers.Add("grpc-timeout", net::FormatGrpcTimeout(timeout));
  }
  AddTravelling(caller_->headers(), headers);
  headers.Add(wire::kCallerHeader, fmt::format("{}-{}", pool_.gateway_, caller_->connection()));
  if (!route.empty()) headers.Add(wire::kRouteHeader, route);
  ids_.AddTo(headers);
}

void InferCall::CopyToShadow() {
  const auto place = caller_ended_ && kept_.whole()
                         ? pool_.shadows_.Find(*fleet_, *route_->shadow, Random())
                         : std::nullopt;
  if (!place) return calls_->Count(ModelCalls::Rescue::kShadowSkipped);
  const absl::Duration timeout = std::min(deadline_ - began_, ShadowCalls::kMostTime);
  FillHeaders(*place->backend->net_address(), timeout,
              fmt::format("{}/{}", place->route.model, place->route.version));
  shadow_ = &pool_.shadows_.Send(*place, pool_.headers_, kept_, timeout, *calls_);
}

void InferCall::Await(Attempt& attempt) {
  const Instant now = pool_.loop_.now();
  attempt.began = now;
  if (attempt.hedge || !kept_.whole() || !route_->calls.hedges()) return;
  const auto delay =
      HedgePolicy::Delay(calls_->of(pool_.index_).usual().Get(route_->calls.hedge_share()),
                         deadline_ - now, group_->backends.size() - tried_.size());
  if (delay) hedge_timer_.Start(*delay);
}

void InferCall::Hedge() {
  if (finished_ || answering_ || !kept_.whole() || tried_.size() >= kMaxAttempts) return;
  const BalanceChoice choice = Choose();
  if (!HedgePolicy::MayGo(choice) || !calls_->budget().Withdraw(pool_.loop_.now())) return;
  calls_->Count(ModelCalls::Rescue::kHedge);
  Try(At(choice), /*hedge=*/true);
}

void InferCall::LetGo(Attempt& attempt) {
  if (attempt.over()) return;
  attempt.backend->health().End(pool_.index_);
  attempt.backend.reset();
  if (calls_->of(pool_.index_).room().First()) pool_.LetIn(*calls_);
}

void InferCall::GiveUp(Attempt& attempt) {
  const Instant now = pool_.loop_.now();
  const absl::Duration elapsed = now - attempt.began;
  if (&attempt != answering_ && caller_ended_) {
    LatencyQuantile& usual = calls_->of(pool_.index_).usual();
    const bool silent = HedgePolicy::WasSilent(usual.Get(), elapsed);
    if (silent) attempt.backend->health().Silent(now, elapsed);
    // How long it would have taken nobody knows: longer than this.
    if (!attempt.hedge && (silent || answering_)) usual.Add(elapsed);
  }
  LetGo(attempt);
  GiveUpStream(attempt);
}

// It may tell its end when this is another call's attempt.
void InferCall::GiveUpStream(Attempt& attempt) {
  if (net::Stream* const stream = std::exchange(attempt.stream, nullptr)) {
    stream->Reset(net::CloseCode::kCancel);
  }
}

void InferCall::Attempt::OnSent(net::Stream& from, size_t count) {
  if (stream != &from) return;
  // A retry sends what the caller's window was given back for already.
  const size_t back = std::min(count, call.unconsumed_);
  call.unconsumed_ -= back;
  if (call.caller_) call.caller_->Consumed(back);
}

void InferCall::Attempt::OnHeaders(net::Stream& from, bool end) {
  if (stream != &from || over() || call.finished_) return;
  const std::string_view http = from.headers().ValueOr(":status", "");
  if (end || http != "200") {
    const net::GrpcStatus status = net::ReadGrpcStatus(from.headers(), http);
    const bool answered = from.headers().Find("grpc-status").has_value();
    return call.AttemptFailed(
        this, status, answered ? FailureSource::kWorker : FailureSource::kBroken, &from.headers());
  }
  call.Answered(*this);
  net::Headers& headers = call.pool_.headers_;
  headers.Clear();
  headers.Add(":status", "200");
  headers.Add("content-type", kContentType);
  AddTravelling(from.headers(), headers);
  call.caller_->SendHeaders(headers, /*end=*/false);
}

void InferCall::Answered(Attempt& attempt) {
  answering_ = &attempt;
  hedge_timer_.Stop();
  if (suspect_) pool_.quarantine_.Cleared(*suspect_);
  const Instant now = pool_.loop_.now();
  const absl::Duration latency = now - attempt.began;
  attempt.backend->health().Answered(pool_.index_, now, latency);
  if (attempt.hedge) {
    calls_->Count(ModelCalls::Rescue::kHedgeWon);
  } else {
    calls_->of(pool_.index_).usual().Add(latency);
  }
  for (Attempt& other : attempts_) {
    if (&other != &attempt && !other.over()) GiveUp(other);
  }
  if (route_->shadow) CopyToShadow();
  kept_.Drop();
}

void InferCall::Attempt::OnBody(net::Stream& from, const net::Slice& bytes) {
  if (stream != &from || call.answering_ != this || call.finished_) {
    return from.Consumed(bytes.size());
  }
  call.bytes_out_ += bytes.size();
  if (call.shadow_) call.shadow_->CallAnswered(bytes.bytes());
  call.caller_->Send(bytes, /*end=*/false);
}

void InferCall::Attempt::OnEnd(net::Stream& from) {
  if (stream != &from || call.answering_ != this || call.finished_) return;
  const net::GrpcStatus status = net::ReadGrpcStatus(from.trailers(), "200");
  call.TakeReport(*this, from.trailers());
  call.LetGo(*this);
  const bool said = from.trailers().Find("grpc-status").has_value();
  call.Finish(call.StatusForCaller(status, said ? FailureSource::kWorker : FailureSource::kBroken),
              &from.trailers());
}

void InferCall::Attempt::OnClosed(net::Stream& from, net::CloseCode code) {
  if (stream != &from) return;
  stream = nullptr;
  if (!call.finished_ && !over()) {
    died = code == net::CloseCode::kConnectionLost;
    const bool never_sent =
        code == net::CloseCode::kNeverSent || code == net::CloseCode::kRefusedStream;
    call.AttemptFailed(this, BrokenOff(code, call.deadline_ - call.pool_.loop_.now()),
                       never_sent ? FailureSource::kNeverSent : FailureSource::kBroken, nullptr);
  }
  call.RecycleWhenClosed();
}

// `attempt`: null when there was nobody to try.
void InferCall::AttemptFailed(Attempt* attempt, const net::GrpcStatus& status, FailureSource source,
                              const net::Headers* trailers) {
  const bool answered = source == FailureSource::kWorker;
  AttemptFailure failure{.code = status.code, .source = source};
  Pushback pushback;
  if (answered && status.code == absl::StatusCode::kUnavailable) {
    pushback = ReadPushback(status, trailers);
    failure.no_retry = pushback.no_retry;
  }
  if (attempt) {
    if (trailers) TakeReport(*attempt, *trailers);
    TellHealth(attempt->backend->health(), failure, pushback.pause);
    const Quarantine::Verdict verdict = HasKilledTwo(*attempt);
    LetGo(*attempt);
    if (verdict != Quarantine::Verdict::kFree) return FinishQuarantined(verdict);
  }
  if (suspect_ && answered && status.code != absl::StatusCode::kUnavailable) {
    pool_.quarantine_.Cleared(*suspect_);
  }
  if (status.ok() && answered) return Finish(status, trailers);  // an answer without a message
  const bool another_runs = !attempts_[0].over() || !attempts_[1].over();
  if (!answering_ && another_runs &&
      RetryPolicy::MayTryAnother(failure, route_->calls.idempotent())) {
    GiveUpStream(*attempt);
    return;
  }
  if (TryAnother(failure)) return;
  Finish(StatusForCaller(status, source), trailers);
}

Quarantine::Verdict InferCall::HasKilledTwo(const Attempt& attempt) {
  using Verdict = Quarantine::Verdict;
  if (!attempt.died || !caller_ended_ || !kept_.whole()) return Verdict::kFree;
  suspect_ = Fingerprint(kept_.Copy());
  if (!suspect_) return Verdict::kFree;
  const Backend& backend = *attempt.backend;
  const Quarantine::Process worker{.address = backend.address(), .life = backend.health().life()};
  const Verdict verdict =
      pool_.quarantine_.Died(*suspect_, record_->model, worker, pool_.loop_.now());
  if (verdict != Verdict::kFree) {
    LogWarning(verdict == Verdict::kHeld
                   ? "two workers died of a request; it is not sent again"
                   : "workers died together with a request on them; it is not sent for a while",
               {{"model", record_->model}, {"fingerprint", fmt::format("{:016x}", *suspect_)}});
  }
  return verdict;
}

void InferCall::TakeReport(Attempt& attempt, const net::Headers& trailers) {
  const auto text = trailers.Find(wire::kLoadHeader);
  if (!text) return;
  if (const auto report = wire::ParseLoadReport(*text)) {
    attempt.backend->health().Reported(pool_.loop_.now(), report->requests, report->capacity);
  }
}

// What a failed attempt says of its worker.
void InferCall::TellHealth(EndpointHealth& health, const AttemptFailure& failure,
                           absl::Duration pause) {
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
      return health.FoundFault(pool_.index_);
    case FailureMeaning::kNothing:
      return;
  }
}

bool InferCall::TryAnother(const AttemptFailure& failure) {
  while (!answering_ && kept_.whole() && group_ &&
         RetryPolicy::MayTryAnother(failure, route_->calls.idempotent()) &&
         tried_.size() < kMaxAttempts && caller_) {
    const Instant now = pool_.loop_.now();
    const BalanceChoice choice = Choose();
    // One more attempt where there was nobody a moment ago rescues no call.
    if ((!choice.index && !choice.full) ||
        (choice.aside && At(choice)->health().UnreachableLately(now)) ||
        !calls_->budget().Withdraw(now)) {
      return false;
    }
    calls_->Count(ModelCalls::Rescue::kRetry);
    // The failed attempt's stream may still close; it is not the call's then.
    for (Attempt& attempt : attempts_) GiveUpStream(attempt);
    if (choice.full) {
      Wait();
      return true;
    }
    if (Try(At(choice), /*hedge=*/false)) return true;
  }
  return false;
}

}  // namespace torchfleet::gateway
