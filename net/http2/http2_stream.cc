#include "net/http2/http2_stream.h"

namespace torchfleet::net {

void Http2Stream::Clear() {
  headers_.Clear();
  trailers_.Clear();
  end_trailers_.Clear();
  body_.Clear();
  handler_ = nullptr;
  id_ = 0;
  headers_whole_ = too_large_ = sent_headers_ = body_ends_ = has_end_trailers_ = deferred_ = false;
  peer_ended_ = we_ended_ = on_wire_ = ending_ = false;
  body_owed_ = true;
  header_bytes_ = unconsumed_ = 0;
}

void Http2Stream::SendHeaders(const Headers& headers, bool end) {
  if (sent_headers_ || id_ == 0) return;
  sent_headers_ = true;
  body_ends_ = end;
  nghttp2_data_provider provider{.source = {.ptr = this},
                                 .read_callback = &Http2Connection::ReadBody};
  nghttp2_submit_response(connection_.session_, id_, connection_.Fields(headers), headers.size(),
                          end ? nullptr : &provider);
  connection_.Flush();
}

bool Http2Stream::Takes(bool end) {
  if (body_ends_ || id_ == 0) return false;
  if (body_.empty()) sent_ = connection_.loop_.now();
  body_ends_ = end;
  return true;
}

void Http2Stream::Send(Slice body, bool end) {
  if (!Takes(end)) return;
  body_.Append(std::move(body));
  Resume();
}

void Http2Stream::SendCopy(std::string_view body, bool end) {
  if (!Takes(end)) return;
  body_.AppendCopy(body, connection_.loop_.blocks());
  Resume();
}

void Http2Stream::SendTrailers(const Headers& trailers) {
  if (body_ends_ || id_ == 0) return;
  body_ends_ = has_end_trailers_ = true;
  for (const auto [name, value] : trailers) end_trailers_.Add(name, value);
  Resume();
}

void Http2Stream::Resume() {
  if (deferred_) {
    deferred_ = false;
    nghttp2_session_resume_data(connection_.session_, id_);
  }
  connection_.Flush();
}

void Http2Stream::Reset(CloseCode code) {
  if (id_ == 0 || ending_) return;
  body_ends_ = true;
  nghttp2_submit_rst_stream(connection_.session_, NGHTTP2_FLAG_NONE, id_,
                            static_cast<uint32_t>(code));
  connection_.EndLater(*this, code);
}

void Http2Stream::Consumed(size_t count) {
  if (count == 0 || id_ == 0) return;
  unconsumed_ -= count;
  nghttp2_session_consume(connection_.session_, id_, count);
  connection_.Flush();
}

}  // namespace torchfleet::net
