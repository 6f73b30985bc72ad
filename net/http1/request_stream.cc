#include "net/http1/request_stream.h"

#include <charconv>

#include "absl/time/clock.h"

namespace torchfleet::net {

void Http1Connection::RequestStream::Clear() {
  headers_.Clear();
  trailers_.Clear();
  end_trailers_.Clear();
  body_.Clear();
  handler_ = nullptr;
  request_ended_ = sent_headers_ = bodiless_ = ends_ = end_written_ = keep_alive_ = false;
  body_owed_ = true;
  unconsumed_ = 0;
  promised_.reset();
  reset_.reset();
}

BodyEnd Http1Connection::RequestStream::EndOf(const Headers& headers, bool end) const {
  if (headers.Find("content-length")) return BodyEnd::kLength;
  if (bodiless_) return end ? BodyEnd::kNoBody : BodyEnd::kLength;  // whose length is not known
  if (end) return BodyEnd::kNoBody;
  return connection_.reader_.message().old ? BodyEnd::kClose : BodyEnd::kChunks;
}

void Http1Connection::RequestStream::SendHeaders(const Headers& headers, bool end) {
  if (sent_headers_ || handler_ == nullptr) return;
  sent_headers_ = true;
  ends_ = end;
  const Http1Reader::Message& message = connection_.reader_.message();
  const std::string_view status = headers.ValueOr(":status", "500");
  bodiless_ = headers_.ValueOr(":method", "") == "HEAD" || status == "204" || status == "304";
  end_ = EndOf(headers, end);
  if (const auto length = headers.Find("content-length"); length && !bodiless_) {
    promised_.emplace(0);
    std::from_chars(length->data(), length->data() + length->size(), *promised_);
  }
  // What is left of a request whose answer is there is not worth reading.
  keep_alive_ =
      message.keep_alive && request_ended_ && !connection_.draining_ && end_ != BodyEnd::kClose;
  std::string& text = connection_.scratch_;
  text.clear();
  AppendAnswerHead(
      headers,
      {.end = end_, .keep_alive = keep_alive_, .old_peer = message.old, .date = absl::Now()}, text);
  connection_.outgoing_.AppendCopy(text, connection_.loop_.blocks());
  connection_.Flush();
}

bool Http1Connection::RequestStream::Takes(bool end) {
  if (!sent_headers_ || ends_ || handler_ == nullptr) return false;
  ends_ = end;
  connection_.Flush();
  return true;
}

void Http1Connection::RequestStream::Send(Slice body, bool end) {
  if (Takes(end)) body_.Append(std::move(body));
}

void Http1Connection::RequestStream::SendCopy(std::string_view body, bool end) {
  if (Takes(end)) body_.AppendCopy(body, connection_.loop_.blocks());
}

void Http1Connection::RequestStream::SendTrailers(const Headers& trailers) {
  if (!Takes(/*end=*/true) || !connection_.reader_.message().takes_trailers) return;
  for (const auto [name, value] : trailers) end_trailers_.Add(name, value);
}

void Http1Connection::RequestStream::Reset(CloseCode code) {
  if (handler_ == nullptr || reset_) return;
  reset_ = code;
  connection_.Flush();
}

void Http1Connection::RequestStream::Consumed(size_t count) {
  unconsumed_ -= std::min(count, unconsumed_);
  connection_.Flush();
}

}  // namespace torchfleet::net
