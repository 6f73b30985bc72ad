#include "gateway/forward/infer_call.h"

#include <fmt/format.h>

#include <utility>

#include "base/grpc_status.h"
#include "base/status.h"
#include "gateway/forward/header_rules.h"
#include "gateway/forward/method_names.h"
#include "gateway/forward/random.h"
#include "net/grpc/message_reader.h"
#include "wire/parameter_scan.h"

namespace torchfleet::gateway {
namespace {

constexpr std::string_view kContentType = "application/grpc";
// A caller that cancels so shortly before its deadline does so because of it.
constexpr absl::Duration kAtDeadline = absl::Milliseconds(20);

net::GrpcStatus ToNet(const absl::Status& status) {
  const grpc::Status wire = ToGrpc(status);
  return {.code = status.code(), .message = wire.error_message(), .details = wire.error_details()};
}

// What rules may ask of an inference call: its headers, and the beginning of its
// body in one piece or two.
class InferTraits final : public CallTraits {
 public:
  InferTraits(const net::Stream& caller, std::string_view before, std::string_view bytes)
      : caller_(caller), before_(before), bytes_(bytes) {}

  std::optional<std::string_view> Header(std::string_view name) const override {
    return caller_.headers().Find(name);
  }
  std::optional<std::string_view> Parameter(std::string_view name) const override {
    if (!before_.empty() && whole_.empty()) whole_ = std::string(before_).append(bytes_);
    const std::string_view body = before_.empty() ? bytes_ : whole_;
    if (body.size() < net::kGrpcPrefixSize) return std::nullopt;
    found_ = wire::FindParameter(body.substr(net::kGrpcPrefixSize), name);
    return found_;
  }
  uint64_t connection() const override { return caller_.connection(); }

 private:
  const net::Stream& caller_;
  const std::string_view before_, bytes_;
  // What Parameter gave out last, and what it looked at.
  mutable std::string whole_;
  mutable std::optional<std::string> found_;
};

// What keeps the call at a worker, if its model wants that and the call has it.
std::optional<StickyKey> KeyOf(const CallRules& rules, const CallTraits& call) {
  if (!rules.sticky()) return std::nullopt;
  const auto& key = rules.key();
  const auto value = key.has_header() ? call.Header(key.header()) : call.Parameter(key.parameter());
  if (!value) return std::nullopt;
  return StickyKey{.hash = TrafficPolicy::Hash(*value), .most_load = rules.most_load()};
}

}  // namespace

InferCall::InferCall(InferCallPool& pool)
    : pool_(pool),
      timer_(pool.loop_,
             [this] {
               Finish(absl::DeadlineExceededError(
                   fmt::format("the deadline passed before a worker of model '{}' answered",
                               Clip(record_->model))));
             }),
      hedge_timer_(pool.loop_, [this] { Hedge(); }) {}

void InferCall::OnHeaders(net::Stream& stream, bool end) {
  began_ = pool_.loop_.now();
  const net::Headers& headers = stream.headers();
  ids_.Take(headers);
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
  bytes_in_ += bytes.size();
  if (!route_) {
    const auto head = head_.Take(bytes.bytes());
    if (head) return Route(*head, bytes);
    // What is kept here until the model is known is not the worker's yet.
    stream.Consumed(std::exchange(unconsumed_, 0));
    return;
  }
  if (!answering_) kept_.Add(bytes);
  if (held_ && !kept_.whole()) {
    return Finish(absl::InvalidArgumentError("the request is longer than it says"));
  }
  for (const Attempt& attempt : attempts_) {
    if (attempt.stream && !attempt.over()) attempt.stream->Send(bytes, /*end=*/false);
  }
}

void InferCall::OnEnd(net::Stream&) {
  caller_ended_ = true;
  if (finished_) return;
  if (!route_) return Finish(absl::InvalidArgumentError("the request holds no whole message"));
  if (held_) return Inspect();
  for (Attempt& attempt : attempts_) {
    if (!attempt.stream || attempt.over()) continue;
    attempt.stream->Send(net::Slice(), /*end=*/true);
    Await(attempt);
  }
}

// `bytes` decided which model it is; what came before is in head_.
void InferCall::Route(const absl::StatusOr<wire::InferRequestHead>& head, const net::Slice& bytes) {
  if (!head.ok()) {
    calls_ = &pool_.other_calls_;
    calls_->of(pool_.index_).Begin();
    return Finish(head.status());
  }
  record_->model = head->model_name;
  calls_ = &pool_.CallsOf(record_->model);
  calls_->of(pool_.index_).Begin();
  fleet_ = pool_.fleet_.Get();
  const InferTraits traits(*caller_, head_.before(), bytes.bytes());
  const auto route =
      RoutePolicy::Choose(*fleet_, record_->model, head->model_version, traits, Random());
  if (!route.ok()) return Finish(route.status());
  route_ = *route;
  record_->version = route->version;
  if (route->trial) JoinTrial(*route->trial);
  group_ = pool_.groups_.Of(*route_);
  key_ = KeyOf(route_->calls, traits);
  calls_->budget().Deposit();
  kept_.Expect(head_.body_size());
  if (!head_.before().empty()) kept_.Add(net::Slice::Keep(std::string(head_.before())));
  kept_.Add(bytes);
  if (!kept_.whole()) {
    // The first piece alone is over the limit: it goes, and cannot go again.
    const BalanceChoice choice = Choose();
    if (choice.full || !Admit()) return Refuse();
    if (!choice.index || !Try(At(choice), /*hedge=*/false)) {
      return AttemptFailed(nullptr, {absl::StatusCode::kUnavailable, ""}, FailureSource::kNeverSent,
                           nullptr);
    }
    attempts_[0].stream->SendCopy(head_.before(), /*end=*/false);
    attempts_[0].stream->Send(bytes, /*end=*/false);
  } else if (!pool_.quarantine_.empty() && head_.body_size() <= KeptRequest::kLimit) {
    held_ = true;
  } else {
    Launch();
  }
}

void InferCall::Inspect() {
  held_ = false;
  const auto fingerprint = Fingerprint(kept_.Copy());
  const auto verdict = fingerprint ? pool_.quarantine_.Ask(*fingerprint, pool_.loop_.now())
                                   : Quarantine::Verdict::kFree;
  if (verdict == Quarantine::Verdict::kTrial) suspect_ = fingerprint;
  if (verdict == Quarantine::Verdict::kHeld || verdict == Quarantine::Verdict::kDoubted) {
    return FinishQuarantined(verdict);
  }
  Launch();
}

void InferCall::FinishQuarantined(Quarantine::Verdict verdict) {
  calls_->Count(ModelCalls::Rescue::kQuarantined);
  if (verdict == Quarantine::Verdict::kDoubted) {
    return Finish(WithRetryDelay(
        absl::UnavailableError(fmt::format("workers of model '{}' died while they had this "
                                           "request; try again later",
                                           Clip(record_->model))),
        kRetryDelay));
  }
  Finish(absl::InternalError(fmt::format(
      "workers of model '{}' died of this request; it is not sent again", Clip(record_->model))));
}

net::GrpcStatus InferCall::StatusForCaller(const net::GrpcStatus& status,
                                           FailureSource source) const {
  if (source == FailureSource::kWorker) {
    net::GrpcStatus cut = status;
    if (cut.message.size() > kMaxErrorText) cut.message = Clip(cut.message, kMaxErrorText);
    // A worker that does not say when to come back: we do.
    if (cut.code == absl::StatusCode::kUnavailable && cut.details.empty()) {
      return ToNet(WithRetryDelay(absl::UnavailableError(cut.message), kRetryDelay));
    }
    return cut;
  }
  const std::string model = Clip(record_->model);
  if (RetryPolicy::IsConnectionFailure({.code = status.code, .source = source})) {
    if (source == FailureSource::kBroken && !route_->calls.idempotent()) {
      // Without a word of when to come back, which clients take as leave to do so.
      return ToNet(absl::UnavailableError(fmt::format(
          "the worker of model '{}' was lost before it answered; the call may have been computed "
          "or not, and is not sent again since the model is not idempotent",
          model)));
    }
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
  hedge_timer_.Stop();
  if (waiting_) {
    calls_->of(pool_.index_).room().Leave(*this);
    calls_->waiting().GiveBack();
    EndWait();
  }
  Count(status.code);
  if (ShadowCall* const shadow = std::exchange(shadow_, nullptr)) shadow->CallEnded(status.ok());
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
  const bool left_a_place = GiveBackPlace();
  for (Attempt& attempt : attempts_) {
    if (!attempt.over()) GiveUp(attempt);
  }
  if (left_a_place) pool_.LetIn(*calls_);
}

void InferCall::Count(absl::StatusCode code) {
  if (!calls_) {
    calls_ = &pool_.other_calls_;
    calls_->of(pool_.index_).Begin();
  }
  const absl::Duration duration = pool_.loop_.now() - began_;
  calls_->of(pool_.index_)
      .End({.code = code, .duration = duration, .bytes_in = bytes_in_, .bytes_out = bytes_out_});
  if (trial_) CountForTrial(code, duration);
  record_->attempts = static_cast<int>(tried_.size());
  record_->bytes_in = bytes_in_;
  record_->bytes_out = bytes_out_;
  if (record_ != &own_record_ || !pool_.log_.on()) return;
  record_->code = code;
  record_->duration = duration;
  record_->method = kInferMethod;
  record_->ids = ids_;
  pool_.log_.Add(*record_);
}

void InferCall::JoinTrial(const TrialSide& side) {
  trials_ = pool_.trials_.Get();
  const auto found = trials_->by_rule.find(side.rule);
  // Rules that have changed since the call's snapshot are counted no more.
  if (found != trials_->by_rule.end()) trial_ = &found->second->of(pool_.index_, side.canary);
}

void InferCall::CountForTrial(absl::StatusCode code, absl::Duration duration) {
  const bool late =
      code == absl::StatusCode::kCancelled && deadline_ - pool_.loop_.now() < kAtDeadline;
  trial_->End(late ? absl::StatusCode::kDeadlineExceeded : code, duration);
}

void InferCall::OnSent(net::Stream&, size_t count) {
  if (answering_ && answering_->stream) answering_->stream->Consumed(count);
}

void InferCall::OnClosed(net::Stream&, net::CloseCode) {
  caller_ = nullptr;
  if (!finished_) Finish(absl::CancelledError("the caller cancelled the call"));
  RecycleWhenClosed();
}

void InferCall::RecycleWhenClosed() {
  if (caller_ || attempts_[0].stream || attempts_[1].stream) return;
  head_.Clear();
  kept_.Clear();
  own_record_.Clear();
  fleet_.reset();
  route_.reset();
  group_.reset();
  key_.reset();
  calls_ = nullptr;
  trials_.reset();
  trial_ = nullptr;
  tried_.clear();
  deadline_ = Instant::Infinite();
  answering_ = nullptr;
  suspect_.reset();
  held_ = waiting_ = caller_ended_ = finished_ = false;
  unconsumed_ = 0;
  bytes_in_ = bytes_out_ = 0;
  pool_.free_.Give(*this);
}

}  // namespace torchfleet::gateway
