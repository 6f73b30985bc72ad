#include <algorithm>

#include "net/http2/connection.h"
#include "net/http2/http2_stream.h"

// What nghttp2 tells a connection. What a stream's handler does meanwhile is
// only noted in the session; the turn's end sends it.

namespace torchfleet::net {
namespace {

constexpr size_t kFrameHead = 9;

Http2Connection& Self(void* self) { return *static_cast<Http2Connection*>(self); }

CloseCode ToCloseCode(uint32_t code) {
  return code <= 13 ? static_cast<CloseCode>(code) : CloseCode::kInternalError;
}

}  // namespace

nghttp2_session_callbacks* Http2Connection::Callbacks() {
  static nghttp2_session_callbacks* const callbacks = [] {
    nghttp2_session_callbacks* made;
    nghttp2_session_callbacks_new(&made);
    nghttp2_session_callbacks_set_on_begin_headers_callback(made, &OnBeginHeaders);
    nghttp2_session_callbacks_set_on_header_callback(made, &OnHeader);
    nghttp2_session_callbacks_set_on_frame_recv_callback(made, &OnFrame);
    nghttp2_session_callbacks_set_on_begin_frame_callback(made, &OnBeginFrame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, &OnData);
    nghttp2_session_callbacks_set_on_frame_send_callback(made, &OnFrameSent);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(made, &OnInvalidFrame);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(made, &OnFrameNotSent);
    nghttp2_session_callbacks_set_on_stream_close_callback(made, &OnStreamClose);
    nghttp2_session_callbacks_set_data_source_read_length_callback(made, &FrameSize);
    nghttp2_session_callbacks_set_send_data_callback(made, &SendBody);
    return made;
  }();
  return callbacks;
}

int Http2Connection::OnBeginFrame(nghttp2_session* session, const nghttp2_frame_hd* head,
                                  void* self) {
  Http2Connection& connection = Self(self);
  // An empty frame of a body moves nothing and costs as much as a full one.
  const bool empty_data = head->type == NGHTTP2_DATA && head->length == 0 &&
                          (head->flags & NGHTTP2_FLAG_END_STREAM) == 0;
  if (empty_data && !connection.pings_.Take(connection.loop_.now())) connection.Punish();
  // nghttp2 does not remember which streams there were.
  if (connection.role_ == Role::kServer && head->type == NGHTTP2_HEADERS &&
      connection.PassedOver(head->stream_id)) {
    nghttp2_session_terminate_session(session, NGHTTP2_PROTOCOL_ERROR);
  }
  return 0;
}

int Http2Connection::OnBeginHeaders(nghttp2_session* session, const nghttp2_frame* frame,
                                    void* self) {
  Http2Connection& connection = Self(self);
  connection.headers_since_ = connection.loop_.now();
  connection.headers_of_ = frame->hd.stream_id;
  if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
    connection.receiving_headers_ = connection.Find(frame->hd.stream_id);
    return 0;
  }
  Http2Stream* const stream = connection.NewStream();
  stream->id_ = frame->hd.stream_id;
  stream->on_wire_ = true;
  stream->heard_ = connection.busy_ = connection.loop_.now();
  connection.receiving_headers_ = stream;
  nghttp2_session_set_stream_user_data(session, stream->id_, stream);
  return 0;
}

int Http2Connection::OnHeader(nghttp2_session*, const nghttp2_frame*, const uint8_t* name,
                              size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                              void* self) {
  Http2Connection& connection = Self(self);
  Http2Stream* const stream = connection.receiving_headers_;
  if (stream == nullptr) return 0;
  stream->header_bytes_ += name_size + value_size + 32;
  if (stream->header_bytes_ > connection.options_.limits.header_bytes) {
    stream->too_large_ = true;
    return 0;
  }
  Headers& headers = stream->headers_whole_ ? stream->trailers_ : stream->headers_;
  headers.Add({reinterpret_cast<const char*>(name), name_size},
              {reinterpret_cast<const char*>(value), value_size});
  return 0;
}

int Http2Connection::OnFrame(nghttp2_session* session, const nghttp2_frame* frame, void* self) {
  Http2Connection& connection = Self(self);
  const Instant now = connection.loop_.now();
  switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
      break;
    case NGHTTP2_RST_STREAM:
      if (!connection.resets_.Take(now)) connection.Punish();
      return 0;
    case NGHTTP2_PING:
    case NGHTTP2_SETTINGS:
      if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0 && !connection.pings_.Take(now)) {
        connection.Punish();
      }
      // A peer that has introduced itself may stay without asking for anything.
      connection.headers_since_ = Instant();
      return 0;
    case NGHTTP2_GOAWAY:
      if (connection.state_ == State::kOpen) connection.state_ = State::kDraining;
      connection.Flush();
      return 0;
    default:
      return 0;
  }
  auto* const stream =
      static_cast<Http2Stream*>(nghttp2_session_get_stream_user_data(session, frame->hd.stream_id));
  if (stream == nullptr) return 0;
  stream->heard_ = now;
  if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) stream->peer_ended_ = true;
  if (frame->hd.type == NGHTTP2_HEADERS) {
    connection.HeadersAreWhole(*stream, *frame);
  } else if (stream->peer_ended_ && stream->handler_) {
    stream->handler_->OnEnd(*stream);
  }
  return 0;
}

void Http2Connection::HeadersAreWhole(Http2Stream& stream, const nghttp2_frame& frame) {
  headers_since_ = Instant();
  if (stream.headers_whole_) {  // trailers
    if (stream.too_large_) return stream.Reset(CloseCode::kEnhanceYourCalm);
    if (stream.peer_ended_ && stream.handler_) stream.handler_->OnEnd(stream);
    return;
  }
  if (role_ == Role::kClient && stream.headers_.ValueOr(":status", "").substr(0, 1) == "1") {
    stream.headers_.Clear();  // informational: the answer is still to come
    return;
  }
  stream.headers_whole_ = true;
  stream.header_bytes_ = 0;
  if (stream.too_large_) {
    if (role_ == Role::kClient) return stream.Reset(CloseCode::kEnhanceYourCalm);
    Headers answer;
    answer.Add(":status", "431");
    stream.SendHeaders(answer, /*end=*/true);
    return;
  }
  if (frame.headers.cat == NGHTTP2_HCAT_REQUEST) {
    stream.handler_ = owner_.OnStream(stream);
    if (!stream.handler_) return stream.Reset(CloseCode::kRefusedStream);
  }
  if (stream.handler_) stream.handler_->OnHeaders(stream, stream.peer_ended_);
}

int Http2Connection::OnData(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* data,
                            size_t size, void* self) {
  Http2Connection& connection = Self(self);
  Http2Stream* const stream = connection.Find(id);
  if (stream == nullptr || stream->handler_ == nullptr) {
    nghttp2_session_consume(session, id, size);
    return 0;
  }
  stream->heard_ = connection.loop_.now();
  stream->unconsumed_ += size;
  const Slice bytes(connection.receiving_block_, {reinterpret_cast<const char*>(data), size});
  stream->handler_->OnBody(*stream, bytes);
  return 0;
}

// A stream over the limit, or headers that are none.
int Http2Connection::OnInvalidFrame(nghttp2_session*, const nghttp2_frame* frame, int error,
                                    void* self) {
  Http2Connection& connection = Self(self);
  if (frame->hd.type == NGHTTP2_HEADERS) connection.headers_since_ = Instant();
  if (error == NGHTTP2_ERR_REFUSED_STREAM && !connection.resets_.Take(connection.loop_.now())) {
    connection.Punish();
  }
  return 0;
}

// A request that could not go any more: the peer takes no further ones.
int Http2Connection::OnFrameNotSent(nghttp2_session*, const nghttp2_frame* frame, int, void* self) {
  Http2Connection& connection = Self(self);
  if (connection.role_ != Role::kClient || frame->hd.type != NGHTTP2_HEADERS) return 0;
  const auto found =
      std::find_if(connection.open_.begin(), connection.open_.end(),
                   [&](const Http2Stream* s) { return s->id_ == frame->hd.stream_id; });
  if (found != connection.open_.end()) connection.CloseStream(**found, CloseCode::kNeverSent);
  return 0;
}

int Http2Connection::OnFrameSent(nghttp2_session* session, const nghttp2_frame* frame, void* self) {
  if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
  Http2Connection& connection = Self(self);
  Http2Stream* const stream = connection.Find(frame->hd.stream_id);
  if (stream == nullptr) return 0;
  stream->on_wire_ = true;
  if (frame->hd.type == NGHTTP2_DATA) connection.pings_.Give();
  if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
  stream->we_ended_ = true;
  // The answer is whole and the request is not: the rest of it is not needed
  // (RFC 9113, section 8.1).
  if (connection.role_ == Role::kServer && !stream->peer_ended_) {
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream->id_, NGHTTP2_NO_ERROR);
  }
  return 0;
}

int Http2Connection::OnStreamClose(nghttp2_session*, int32_t id, uint32_t code, void* self) {
  Http2Connection& connection = Self(self);
  if (code == NGHTTP2_NO_ERROR) {
    connection.resets_.Give();
  } else if (connection.role_ == Role::kServer &&
             (code == NGHTTP2_PROTOCOL_ERROR || code == NGHTTP2_FLOW_CONTROL_ERROR) &&
             !connection.resets_.Take(connection.loop_.now())) {
    connection.Punish();  // streams that the peer breaks cost as much as those it resets
  }
  if (Http2Stream* const stream = connection.Find(id)) {
    connection.CloseStream(*stream, ToCloseCode(code));
  }
  return 0;
}

// As large as the peer takes them, up to what is sensible beside other streams.
ssize_t Http2Connection::FrameSize(nghttp2_session*, uint8_t, int32_t, int32_t connection_window,
                                   int32_t stream_window, uint32_t most, void*) {
  constexpr int32_t kSensible = 64 << 10;
  return std::max(1, std::min({connection_window, stream_window, kSensible,
                               static_cast<int32_t>(std::min<uint32_t>(most, kSensible))}));
}

ssize_t Http2Connection::ReadBody(nghttp2_session* session, int32_t id, uint8_t*, size_t size,
                                  uint32_t* flags, nghttp2_data_source* source, void*) {
  auto& stream = *static_cast<Http2Stream*>(source->ptr);
  const size_t count = std::min(size, stream.body_.size());
  if (count == 0 && !stream.body_ends_) {
    stream.deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (count == stream.body_.size() && stream.body_ends_) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream.has_end_trailers_) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      nghttp2_submit_trailer(session, id, stream.connection_.Fields(stream.end_trailers_),
                             stream.end_trailers_.size());
    }
  }
  return static_cast<ssize_t>(count);
}

int Http2Connection::SendBody(nghttp2_session*, nghttp2_frame*, const uint8_t* head, size_t size,
                              nghttp2_data_source* source, void* self) {
  Http2Connection& connection = Self(self);
  auto& stream = *static_cast<Http2Stream*>(source->ptr);
  BlockPool& blocks = connection.loop_.blocks();
  connection.outgoing_.AppendCopy({reinterpret_cast<const char*>(head), kFrameHead}, blocks);
  stream.body_.MoveTo(connection.outgoing_, size, blocks);
  stream.sent_ = connection.loop_.now();
  if (size > 0 && stream.handler_) stream.handler_->OnSent(stream, size);
  return 0;
}

}  // namespace torchfleet::net
