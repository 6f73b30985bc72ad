#include "gateway/edge/control_call.h"

#include "net/grpc/status.h"

namespace torchfleet::gateway {
namespace {

// All but what HTTP/2 has for one connection alone, and the authority.
void CopyHeaders(const net::Headers& from, net::Headers& to) {
  to.Clear();
  for (const auto [name, value] : from) to.Add(name, value);
}

}  // namespace

ControlCall& ControlCallPool::Take(net::Stream& caller) {
  ControlCall& call = free_.Take(*this);
  call.Begin(caller);
  return call;
}

void ControlCall::OnHeaders(net::Stream& stream, bool end) {
  net::Http2Connection* const link = pool_.links_.Find(pool_.server_);
  if (!link) return stream.Reset(net::CloseCode::kRefusedStream);
  CopyHeaders(stream.headers(), pool_.headers_);
  server_ = link->Open(pool_.headers_, end, server_side_);
}

void ControlCall::OnBody(net::Stream& stream, const net::Slice& bytes) {
  if (!server_) return stream.Consumed(bytes.size());
  server_->Send(bytes, /*end=*/false);
}

void ControlCall::OnEnd(net::Stream&) {
  if (server_) server_->Send(net::Slice(), /*end=*/true);
}

void ControlCall::OnSent(net::Stream&, size_t count) {
  if (server_) server_->Consumed(count);
}

void ControlCall::OnClosed(net::Stream&, net::CloseCode) {
  caller_ = nullptr;
  if (server_ && !ended_) server_->Reset(net::CloseCode::kCancel);
  RecycleWhenClosed();
}

void ControlCall::ServerSide::OnHeaders(net::Stream& stream, bool end) {
  if (!call.caller_) return;
  CopyHeaders(stream.headers(), call.pool_.headers_);
  call.answered_ = true;
  call.ended_ = end;
  call.caller_->SendHeaders(call.pool_.headers_, end);
}

void ControlCall::ServerSide::OnBody(net::Stream& stream, const net::Slice& bytes) {
  if (!call.caller_) return stream.Consumed(bytes.size());
  call.caller_->Send(bytes, /*end=*/false);
}

void ControlCall::ServerSide::OnEnd(net::Stream& stream) {
  if (!call.caller_) return;
  call.ended_ = true;
  call.caller_->SendTrailers(stream.trailers());
}

void ControlCall::ServerSide::OnSent(net::Stream&, size_t count) {
  if (call.caller_) call.caller_->Consumed(count);
}

void ControlCall::ServerSide::OnClosed(net::Stream&, net::CloseCode code) {
  call.server_ = nullptr;
  if (call.caller_ && !call.ended_) {
    call.ended_ = true;
    if (call.answered_ || code == net::CloseCode::kCancel) {
      call.caller_->Reset(net::CloseCode::kCancel);
    } else {
      net::Headers& headers = call.pool_.headers_;
      headers.Clear();
      headers.Add(":status", "200");
      headers.Add("content-type", "application/grpc");
      net::AddGrpcStatus({absl::StatusCode::kUnavailable, "the gateway is stopping"}, headers);
      call.caller_->SendHeaders(headers, /*end=*/true);
    }
  }
  call.RecycleWhenClosed();
}

void ControlCall::RecycleWhenClosed() {
  if (caller_ || server_) return;
  answered_ = ended_ = false;
  pool_.free_.Give(*this);
}

}  // namespace torchfleet::gateway
