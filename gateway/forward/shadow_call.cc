#include "gateway/forward/shadow_call.h"

#include <utility>

#include "gateway/forward/same_outputs.h"
#include "net/grpc/status.h"

namespace torchfleet::gateway {

void ShadowCall::Answer::Add(std::string_view bytes) {
  too_long = too_long || body.size() + bytes.size() > ShadowCalls::kMostKept;
  if (!too_long) body.append(bytes);
}

void ShadowCall::Answer::End(bool well) {
  over = true;
  ok = well;
}

void ShadowCall::Answer::Clear() {
  body.clear();
  too_long = over = ok = false;
}

ShadowCall::ShadowCall(ShadowCalls& pool)
    : pool_(pool), timer_(pool.loop_, [this] { CopyEnded(false); }) {}

void ShadowCall::CallAnswered(std::string_view bytes) { call_.Add(bytes); }

void ShadowCall::CallEnded(bool ok) {
  call_.End(ok);
  if (!copy_.over && NothingToCompare()) return CopyEnded(false);
  FinishWhenBothEnded();
}

void ShadowCall::OnHeaders(net::Stream& from, bool end) {
  if (stream_ != &from || copy_.over) return;
  if (end || from.headers().ValueOr(":status", "") != "200") CopyEnded(false);
}

void ShadowCall::OnBody(net::Stream& from, const net::Slice& bytes) {
  from.Consumed(bytes.size());
  if (stream_ == &from && !copy_.over) copy_.Add(bytes.bytes());
}

void ShadowCall::OnEnd(net::Stream& from) {
  if (stream_ != &from) return;
  stream_ = nullptr;  // it closes by itself
  CopyEnded(net::ReadGrpcStatus(from.trailers(), "200").ok());
}

void ShadowCall::OnClosed(net::Stream& from, net::CloseCode) {
  if (stream_ != &from) return;
  stream_ = nullptr;
  CopyEnded(false);
}

void ShadowCall::CopyEnded(bool ok) {
  if (copy_.over) return;
  copy_.End(ok);
  timer_.Stop();
  std::exchange(backend_, nullptr)->health().End(pool_.index_);
  GiveUpStream();
  FinishWhenBothEnded();
}

// Its end may be told when this is another call's copy.
void ShadowCall::GiveUpStream() {
  if (net::Stream* const stream = std::exchange(stream_, nullptr)) {
    stream->Reset(net::CloseCode::kCancel);
  }
}

bool ShadowCall::NothingToCompare() const { return !call_.ok || call_.too_long || copy_.too_long; }

ModelCalls::Rescue ShadowCall::Result() const {
  if (NothingToCompare()) return ModelCalls::Rescue::kShadowSkipped;
  if (!copy_.ok) return ModelCalls::Rescue::kShadowFailed;
  return SameOutputs(call_.body, copy_.body) ? ModelCalls::Rescue::kShadowSame
                                             : ModelCalls::Rescue::kShadowDifferent;
}

void ShadowCall::FinishWhenBothEnded() {
  if (!call_.over || !copy_.over) return;
  calls_->Count(Result());
  calls_ = nullptr;
  call_.Clear();
  copy_.Clear();
  --pool_.running_;
  pool_.free_.Give(*this);
}

std::optional<ShadowCalls::Place> ShadowCalls::Find(const FleetSnapshot& fleet,
                                                    const TrafficTarget& target, uint64_t random) {
  if (running_ >= kMostAtOnce) return std::nullopt;
  const auto route = RoutePolicy::To(fleet, target);
  if (!route.ok()) return std::nullopt;
  const auto group = groups_.Of(*route);
  const BalanceChoice choice = group->Choose(loop_.now(), random, {});
  if (!choice.index || choice.full) return std::nullopt;
  const auto& backend = group->backends[*choice.index];
  net::Http2Connection* const link =
      backend->net_address() ? links_.Find(*backend->net_address()) : nullptr;
  if (!link) return std::nullopt;
  return Place{.route = *route, .backend = backend, .link = link};
}

ShadowCall& ShadowCalls::Send(const Place& place, const net::Headers& headers,
                              const KeptRequest& request, absl::Duration timeout,
                              ModelCalls& calls) {
  ++running_;
  ShadowCall& shadow = free_.Take(*this);
  shadow.calls_ = &calls;
  shadow.backend_ = place.backend;
  shadow.backend_->health().Begin(index_);
  shadow.timer_.Start(timeout);
  shadow.stream_ = place.link->Open(headers, /*end=*/false, shadow);
  request.SendTo(*shadow.stream_);
  shadow.stream_->Send(net::Slice(), /*end=*/true);
  return shadow;
}

}  // namespace torchfleet::gateway
