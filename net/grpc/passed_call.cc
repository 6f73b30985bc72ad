#include "net/grpc/passed_call.h"

#include <utility>

#include "net/grpc/status.h"

namespace torchfleet::net {
namespace {

// All but what HTTP/2 has for one connection alone, and the authority.
void CopyHeaders(const Headers& from, Headers& to) {
  to.Clear();
  for (const auto [name, value] : from) to.Add(name, value);
}

Http2Options BehindOptions() {
  Http2Options options;
  options.limits.header_bytes = 64 << 10;
  options.limits.stream_window = 1 << 20;
  options.times.idle = absl::InfiniteDuration();
  return options;
}

}  // namespace

PassedCallPool::PassedCallPool(Loop& loop, Address server, OnEnd on_end)
    : loop_(loop),
      server_(std::move(server)),
      on_end_(std::move(on_end)),
      links_(loop, BehindOptions()) {}

PassedCall& PassedCallPool::Take(Stream& caller, bool tell) {
  PassedCall& call = free_.Take(*this);
  call.Begin(caller, tell && on_end_);
  return call;
}

void PassedCall::Begin(Stream& caller, bool told) {
  caller_ = &caller;
  told_ = !told;
  began_ = pool_.loop_.now();
}

void PassedCall::Tell(absl::StatusCode code) {
  if (std::exchange(told_, true)) return;
  pool_.on_end_({.headers = caller_->headers(),
                 .code = code,
                 .duration = pool_.loop_.now() - began_,
                 .bytes_in = bytes_in_,
                 .bytes_out = bytes_out_});
}

void PassedCall::OnHeaders(Stream& stream, bool end) {
  Http2Connection* const link = pool_.links_.Find(pool_.server_);
  if (!link) {
    Tell(absl::StatusCode::kUnavailable);
    return stream.Reset(CloseCode::kRefusedStream);
  }
  CopyHeaders(stream.headers(), pool_.headers_);
  server_ = link->Open(pool_.headers_, end, server_side_);
}

void PassedCall::OnBody(Stream& stream, const Slice& bytes) {
  bytes_in_ += bytes.size();
  if (!server_) return stream.Consumed(bytes.size());
  server_->Send(bytes, /*end=*/false);
}

void PassedCall::OnEnd(Stream&) {
  if (server_) server_->Send(Slice(), /*end=*/true);
}

void PassedCall::OnSent(Stream&, size_t count) {
  if (server_) server_->Consumed(count);
}

void PassedCall::OnClosed(Stream&, CloseCode) {
  Tell(absl::StatusCode::kCancelled);
  caller_ = nullptr;
  if (server_ && !ended_) server_->Reset(CloseCode::kCancel);
  RecycleWhenClosed();
}

void PassedCall::ServerSide::OnHeaders(Stream& stream, bool end) {
  if (!call.caller_) return;
  CopyHeaders(stream.headers(), call.pool_.headers_);
  call.answered_ = true;
  call.ended_ = end;
  if (end) {
    const Headers& headers = stream.headers();
    call.Tell(ReadGrpcStatus(headers, headers.ValueOr(":status", "")).code);
  }
  call.caller_->SendHeaders(call.pool_.headers_, end);
}

void PassedCall::ServerSide::OnBody(Stream& stream, const Slice& bytes) {
  if (!call.caller_) return stream.Consumed(bytes.size());
  call.bytes_out_ += bytes.size();
  call.caller_->Send(bytes, /*end=*/false);
}

void PassedCall::ServerSide::OnEnd(Stream& stream) {
  if (!call.caller_) return;
  call.ended_ = true;
  call.Tell(ReadGrpcStatus(stream.trailers(), "200").code);
  call.caller_->SendTrailers(stream.trailers());
}

void PassedCall::ServerSide::OnSent(Stream&, size_t count) {
  if (call.caller_) call.caller_->Consumed(count);
}

void PassedCall::ServerSide::OnClosed(Stream&, CloseCode code) {
  call.server_ = nullptr;
  if (call.caller_ && !call.ended_) {
    call.ended_ = true;
    if (call.answered_ || code == CloseCode::kCancel) {
      call.Tell(absl::StatusCode::kCancelled);
      call.caller_->Reset(CloseCode::kCancel);
    } else {
      call.Tell(absl::StatusCode::kUnavailable);
      Headers& headers = call.pool_.headers_;
      headers.Clear();
      headers.Add(":status", "200");
      headers.Add("content-type", "application/grpc");
      AddGrpcStatus({absl::StatusCode::kUnavailable, "the server is stopping"}, headers);
      call.caller_->SendHeaders(headers, /*end=*/true);
    }
  }
  call.RecycleWhenClosed();
}

void PassedCall::RecycleWhenClosed() {
  if (caller_ || server_) return;
  answered_ = ended_ = false;
  bytes_in_ = bytes_out_ = 0;
  pool_.free_.Give(*this);
}

}  // namespace torchfleet::net
