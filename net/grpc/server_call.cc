#include "net/grpc/server_call.h"

#include <utility>

namespace torchfleet::net {
namespace {

constexpr std::string_view kContentType = "application/grpc";

bool IsGrpc(std::string_view content_type) {
  if (content_type.substr(0, kContentType.size()) != kContentType) return false;
  content_type.remove_prefix(kContentType.size());
  return content_type.empty() || content_type[0] == '+' || content_type[0] == ';';
}

}  // namespace

GrpcServerCall::GrpcServerCall(GrpcService& service)
    : service_(service),
      incoming_(service.options_.message_bytes, service.loop_.blocks()),
      timer_(service.loop_, [this] { PassDeadline(); }) {}

StreamHandler* GrpcService::OnStream(Stream& stream) {
  GrpcServerCall& call = free_.Take(*this);
  call.Begin(stream);
  return &call;
}

void GrpcServerCall::Begin(Stream& stream) {
  stream_ = &stream;
  handler_ = nullptr;
  incoming_.Begin();
  deadline_ = Instant::Infinite();
  answering_ = finished_ = false;
}

void GrpcServerCall::OnHeaders(Stream& stream, bool end) {
  const Headers& headers = stream.headers();
  if (headers.ValueOr(":method", "") != "POST") {
    Refuse("405", {absl::StatusCode::kInternal, "gRPC calls are POST requests"});
    return;
  }
  if (!IsGrpc(headers.ValueOr("content-type", ""))) {
    Refuse("415", {absl::StatusCode::kInternal, "expected content-type application/grpc"});
    return;
  }
  const std::string_view encoding = headers.ValueOr("grpc-encoding", "identity");
  if (encoding != "identity") {
    Refuse("200", {absl::StatusCode::kUnimplemented,
                   "compressed messages are not taken; send them as identity"});
    return;
  }
  if (const auto text = headers.Find("grpc-timeout")) {
    const auto timeout = ParseGrpcTimeout(*text);
    if (!timeout) {
      Refuse("200", {absl::StatusCode::kInternal, "grpc-timeout cannot be read"});
      return;
    }
    deadline_ = service_.loop_.now() + *timeout;
    timer_.Start(*timeout);
  }
  service_.method_.assign(method());
  const auto found = service_.methods_.find(service_.method_);
  const GrpcService::Begin& begin =
      found == service_.methods_.end() ? service_.others_ : found->second;
  if (!begin) {
    Finish({absl::StatusCode::kUnimplemented, "this server has no such method"});
    return;
  }
  handler_ = begin(*this);
  if (handler_ && end) handler_->OnHalfClose(*this);
}

// An answer without messages, before there is a handler.
void GrpcServerCall::Refuse(std::string_view http_status, const GrpcStatus& status) {
  Headers& headers = service_.headers_;
  headers.Clear();
  headers.Add(":status", http_status);
  headers.Add("content-type", kContentType);
  if (status.code == absl::StatusCode::kUnimplemented) {
    headers.Add("grpc-accept-encoding", "identity");
  }
  AddGrpcStatus(status, headers);
  answering_ = finished_ = true;
  stream_->SendHeaders(headers, /*end=*/true);
}

void GrpcServerCall::OnBody(Stream& stream, const Slice& bytes) {
  if (finished_ || !handler_) return stream.Consumed(bytes.size());
  const absl::Status status = incoming_.Take(
      stream, bytes,
      [this](const Slice& message) {
        if (!finished_) handler_->OnMessage(*this, message);
      },
      [this](const Slice& part) { handler_->OnBytes(*this, part); });
  if (!status.ok()) Finish({status.code(), std::string(status.message())});
}

void GrpcServerCall::OnSent(Stream& stream, size_t count) {
  if (stream.waiting() <= service_.options_.waiting_bytes / 2) {
    incoming_.GoOn(GrpcIncoming::kPeerReadsSlowly, stream);
  }
  if (handler_) handler_->OnSent(*this, count);
}

void GrpcServerCall::OnEnd(Stream&) {
  if (finished_ || !handler_) return;
  if (!incoming_.AtBoundary()) {
    Finish({absl::StatusCode::kInternal, "the request ends inside a message"});
    return;
  }
  handler_->OnHalfClose(*this);
}

void GrpcServerCall::PassDeadline() {
  // Behind what the caller does not read, a status would not reach it.
  if (finished_ || waiting() > 0) {
    finished_ = true;
    return stream_->Reset(CloseCode::kCancel);
  }
  Finish({absl::StatusCode::kDeadlineExceeded, "the deadline passed"});
}

void GrpcServerCall::OnClosed(Stream&, CloseCode code) {
  timer_.Stop();
  stream_ = nullptr;
  const bool whole = finished_ && code == CloseCode::kNoError;
  if (GrpcServerHandler* const handler = std::exchange(handler_, nullptr)) {
    handler->OnDone(*this, whole);
  }
  service_.free_.Give(*this);
}

void GrpcServerCall::StartAnswer() {
  if (std::exchange(answering_, true)) return;
  Headers& headers = service_.headers_;
  headers.Clear();
  headers.Add(":status", "200");
  headers.Add("content-type", kContentType);
  stream_->SendHeaders(headers, /*end=*/false);
}

void GrpcServerCall::SendMetadata(const Headers& metadata) {
  if (!stream_ || std::exchange(answering_, true)) return;
  Headers& headers = service_.headers_;
  headers.Clear();
  headers.Add(":status", "200");
  headers.Add("content-type", kContentType);
  for (const auto [name, value] : metadata) headers.Add(name, value);
  stream_->SendHeaders(headers, /*end=*/false);
}

void GrpcServerCall::Send(std::string_view message) {
  if (!stream_ || finished_) return;
  StartAnswer();
  SendGrpcMessage(*stream_, message);
  MindWaiting();
}

void GrpcServerCall::Send(Slice message) {
  if (!stream_ || finished_) return;
  StartAnswer();
  SendGrpcMessage(*stream_, std::move(message));
  MindWaiting();
}

void GrpcServerCall::SendBytes(Slice bytes) {
  if (!stream_ || finished_) return;
  StartAnswer();
  stream_->Send(std::move(bytes), /*end=*/false);
}

void GrpcServerCall::SendBytes(std::string_view bytes) {
  if (!stream_ || finished_) return;
  StartAnswer();
  stream_->SendCopy(bytes, /*end=*/false);
}

void GrpcServerCall::MindWaiting() {
  if (stream_->waiting() > service_.options_.waiting_bytes) {
    incoming_.HoldBack(GrpcIncoming::kPeerReadsSlowly);
  }
}

void GrpcServerCall::Finish(const GrpcStatus& status, const Headers* trailers) {
  if (!stream_ || std::exchange(finished_, true)) return;
  Headers& headers = service_.headers_;
  headers.Clear();
  const bool trailers_only = !std::exchange(answering_, true);
  if (trailers_only) {
    headers.Add(":status", "200");
    headers.Add("content-type", kContentType);
  }
  AddGrpcStatus(status, headers);
  for (size_t i = 0; trailers && i < trailers->size(); ++i) {
    headers.Add((*trailers)[i].name, (*trailers)[i].value);
  }
  if (trailers_only) {
    stream_->SendHeaders(headers, /*end=*/true);
  } else {
    stream_->SendTrailers(headers);
  }
}

}  // namespace torchfleet::net
