#include "net/client/channel.h"

#include <utility>

namespace torchfleet::net {
namespace {

GrpcStatus BrokenOff(CloseCode code) {
  switch (code) {
    case CloseCode::kNeverSent:
      return {absl::StatusCode::kUnavailable, "the server could not be reached"};
    case CloseCode::kRefusedStream:
      return {absl::StatusCode::kUnavailable, "the server takes no more calls"};
    case CloseCode::kConnectionLost:
      return {absl::StatusCode::kUnavailable, "the connection to the server broke"};
    case CloseCode::kCancel:
      return {absl::StatusCode::kCancelled, "the server cancelled the call"};
    case CloseCode::kEnhanceYourCalm:
      return {absl::StatusCode::kResourceExhausted, "the server was asked too much"};
    default:
      return {absl::StatusCode::kInternal, "the server broke the call off"};
  }
}

const Headers& None() {
  static const Headers none;
  return none;
}

}  // namespace

GrpcClientCall::GrpcClientCall(Channel& channel)
    : channel_(channel),
      incoming_(channel.message_bytes_, channel.loop_.blocks()),
      timer_(channel.loop_, [this] {
        Give({absl::StatusCode::kDeadlineExceeded, "the deadline passed"});
      }) {}

// It ends so, whatever the server does.
void GrpcClientCall::Give(GrpcStatus status) {
  if (has_status_) return;
  status_ = std::move(status);
  has_status_ = true;
  if (stream_) stream_->Reset(CloseCode::kCancel);
}

void GrpcClientCall::Cancel() { Give({absl::StatusCode::kCancelled, "the call was cancelled"}); }

void GrpcClientCall::Send(std::string_view message) {
  if (stream_) SendGrpcMessage(*stream_, message);
}

void GrpcClientCall::Send(Slice message) {
  if (stream_) SendGrpcMessage(*stream_, std::move(message));
}

void GrpcClientCall::SendBytes(Slice bytes) {
  if (stream_) stream_->Send(std::move(bytes), /*end=*/false);
}

void GrpcClientCall::HalfClose() {
  if (stream_) stream_->Send(Slice(), /*end=*/true);
}

const Headers& GrpcClientCall::metadata() const { return stream_ ? stream_->headers() : None(); }

const Headers& GrpcClientCall::trailers() const {
  if (!stream_) return None();
  return trailers_only_ ? stream_->headers() : stream_->trailers();
}

void GrpcClientCall::OnHeaders(Stream& stream, bool end) {
  if (has_status_) return;
  if (end) {
    trailers_only_ = true;
    return OnEnd(stream);
  }
  if (stream.headers().ValueOr(":status", "") != "200") {
    return Give(ReadGrpcStatus(stream.headers(), stream.headers().ValueOr(":status", "")));
  }
  handler_->OnMetadata(*this);
}

void GrpcClientCall::OnBody(Stream& stream, const Slice& bytes) {
  if (has_status_) return stream.Consumed(bytes.size());
  const absl::Status status = incoming_.Take(
      stream, bytes,
      [this](const Slice& message) {
        if (!has_status_) handler_->OnMessage(*this, message);
      },
      [this](const Slice& part) { handler_->OnBytes(*this, part); });
  if (!status.ok()) Give({status.code(), std::string(status.message())});
}

void GrpcClientCall::OnEnd(Stream& stream) {
  if (has_status_) return;
  status_ = ReadGrpcStatus(trailers(), stream.headers().ValueOr(":status", ""));
  answered_ = trailers().Find("grpc-status").has_value();
  if (status_.ok() && !incoming_.AtBoundary()) {
    status_ = {absl::StatusCode::kInternal, "the answer ends inside a message"};
  }
  has_status_ = true;
}

void GrpcClientCall::OnClosed(Stream&, CloseCode code) { End(code); }

void GrpcClientCall::End(CloseCode code) {
  timer_.Stop();
  const GrpcOutcome outcome = {
      .status = has_status_ ? std::move(status_) : BrokenOff(code),
      .never_processed =
          !has_status_ && (code == CloseCode::kNeverSent || code == CloseCode::kRefusedStream),
      .answered = answered_};
  std::exchange(handler_, nullptr)->OnDone(*this, outcome);
  stream_ = nullptr;
  channel_.free_.Give(*this);
}

Channel::Channel(Loop& loop, Address address, Options options)
    : loop_(loop),
      message_bytes_(options.message_bytes),
      tell_unsent_(loop,
                   [this] {
                     for (GrpcClientCall* call : std::exchange(unsent_, {})) {
                       call->End(CloseCode::kNeverSent);
                     }
                   }),
      connections_(loop, std::move(address),
                   {.http = ConnectionPool::Http::k2,
                    .connections = options.connections,
                    .limits = options.http2,
                    .tls = std::move(options.tls),
                    .server_name = std::move(options.server_name)}) {}

Channel::~Channel() {
  for (GrpcClientCall* call : std::exchange(unsent_, {})) call->End(CloseCode::kNeverSent);
}

GrpcClientCall& Channel::Call(std::string_view method, const Headers* metadata,
                              absl::Duration timeout, GrpcClientHandler& handler) {
  GrpcClientCall& call = free_.Take(*this);
  call.handler_ = &handler;
  call.incoming_.Begin();
  call.has_status_ = call.answered_ = call.trailers_only_ = false;
  call.timer_.Start(timeout);

  headers_.Clear();
  headers_.Add(":method", "POST");
  headers_.Add(":scheme", connections_.scheme());
  headers_.Add(":path", method);
  headers_.Add(":authority", connections_.authority());
  headers_.Add("te", "trailers");
  headers_.Add("content-type", "application/grpc");
  if (timeout != absl::InfiniteDuration()) {
    headers_.Add("grpc-timeout", FormatGrpcTimeout(timeout));
  }
  for (size_t i = 0; metadata && i < metadata->size(); ++i) {
    headers_.Add((*metadata)[i].name, (*metadata)[i].value);
  }
  if (ClientConnection* const connection = connections_.Choose()) {
    call.stream_ = connection->Open(headers_, /*end=*/false, call);
  } else {
    call.stream_ = nullptr;
    unsent_.push_back(&call);
    tell_unsent_.Start(absl::ZeroDuration());
  }
  return call;
}

}  // namespace torchfleet::net
