#include "net/http1/http1_connection.h"

#include <sys/epoll.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "net/http1/http1_writer.h"
#include "net/http1/request_stream.h"
#include "net/socket/write_out.h"

namespace torchfleet::net {
namespace {

constexpr size_t kLargestChunk = 64 << 10;
// What is read of a peer that has been answered already.
constexpr size_t kMostLingered = 16 << 20;
constexpr absl::Duration kLongestLinger = absl::Seconds(2);

}  // namespace

Http1Connection::Http1Connection(Loop& loop, std::unique_ptr<ByteStream> bytes,
                                 const Http2Options& options, Owner& owner, Slice begun)
    : loop_(loop),
      bytes_(std::move(bytes)),
      options_(options),
      owner_(owner),
      reader_(Http1Reader::Role::kRequests, options.limits.header_bytes),
      rest_(std::move(begun)),
      stream_(std::make_unique<RequestStream>(*this)),
      events_(EPOLLIN),
      since_(loop.now()),
      heard_(loop.now()),
      wrote_(loop.now()),
      times_(loop, [this] { CheckTimes(); }) {
  loop_.Watch(bytes_->fd(), events_, this);
  CheckTimes();
  Flush();
}

Http1Connection::~Http1Connection() {
  Close();
  loop_.ForgetTurnEnd(this);
}

void Http1Connection::Drain() {
  draining_ = true;
  if (!stream_->handler_ && !reader_.head_begun() && rest_.empty() && state_ == State::kOpen) {
    Close();
  }
}

void Http1Connection::Close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  times_.Stop();
  loop_.Unwatch(bytes_->fd(), this);
  CloseStream(CloseCode::kConnectionLost);
  outgoing_.Clear();
  rest_ = Slice();
  Flush();  // where the owner is told
}

void Http1Connection::CloseStream(CloseCode code) {
  StreamHandler* const handler = std::exchange(stream_->handler_, nullptr);
  if (handler) handler->OnClosed(*stream_, code);
}

void Http1Connection::OnEvents(uint32_t events) {
  if (state_ == State::kClosed) return;
  if (events & EPOLLOUT) Flush();
  if (events & (EPOLLHUP | EPOLLERR) && !(events & EPOLLIN)) return PeerClosed();
  if (!(events & EPOLLIN)) return;
  do {
    ReadSocket();
  } while (MayRead() && bytes_->has_more());
}

bool Http1Connection::MayRead() const {
  if (state_ == State::kLingering) return true;
  return state_ == State::kOpen && rest_.empty() &&
         stream_->unconsumed_ <= options_.limits.stream_window;
}

void Http1Connection::ReadSocket() {
  const BlockPool::Room room = loop_.blocks().ReadRoom();
  const ssize_t count = bytes_->Read(room.at, room.size);
  Flush();
  if (count == ByteStream::kWait) return;
  if (count <= 0) return PeerClosed();
  if (state_ == State::kLingering) {
    lingered_ += static_cast<size_t>(count);
    if (lingered_ > kMostLingered) Close();
    return;
  }
  loop_.blocks().Filled(static_cast<size_t>(count));
  heard_ = loop_.now();
  if (!stream_->handler_ && !reader_.head_begun()) since_ = heard_;
  rest_ = Slice(room.block, {room.at, static_cast<size_t>(count)});
  TakeRest();
}

void Http1Connection::PeerClosed() {
  if (stream_->handler_) CloseStream(CloseCode::kCancel);
  Close();
}

void Http1Connection::TakeRest() {
  while (state_ == State::kOpen && !stream_->reset_ &&
         stream_->unconsumed_ <= options_.limits.stream_window) {
    if (!stream_->handler_ && rest_.empty()) return;
    // Answers that nobody reads: no further requests.
    if (!stream_->handler_ && outgoing_.size() >= options_.limits.outgoing_bytes) return;
    if (stream_->handler_ && stream_->request_ended_) return;
    std::string_view bytes = rest_.bytes();
    if (!reader_.in_body()) stream_->Clear();
    const Http1Reader::Event event = reader_.Next(bytes, stream_->headers_, stream_->trailers_);
    if (event == Http1Reader::Event::kBody) {
      const Slice body(rest_.block(), reader_.body());
      rest_.RemovePrefix(rest_.size() - bytes.size());
      stream_->unconsumed_ += body.size();
      stream_->handler_->OnBody(*stream_, body);
      continue;
    }
    rest_.RemovePrefix(rest_.size() - bytes.size());
    if (rest_.empty()) rest_ = Slice();
    if (!TakeEvent(event)) return;
  }
}

// Whether there may be another.
bool Http1Connection::TakeEvent(Http1Reader::Event event) {
  switch (event) {
    case Http1Reader::Event::kHead:
      BeginRequest();
      return true;
    case Http1Reader::Event::kEnd:
      stream_->request_ended_ = true;
      if (stream_->handler_) stream_->handler_->OnEnd(*stream_);
      return true;
    case Http1Reader::Event::kError:
      Refuse(reader_.error().status, reader_.error().text);
      return false;
    default:
      return false;
  }
}

void Http1Connection::BeginRequest() {
  const Http1Reader::Message& message = reader_.message();
  stream_->request_ended_ = !message.has_body;
  stream_->handler_ = owner_.OnStream(*stream_);
  if (!stream_->handler_) return Refuse(503, "no more requests are taken");
  stream_->handler_->OnHeaders(*stream_, !message.has_body);
  if (message.expects_continue && message.has_body && !stream_->sent_headers_) {
    outgoing_.AppendCopy("HTTP/1.1 100 Continue\r\n\r\n", loop_.blocks());
  }
  heard_ = loop_.now();
  Flush();
}

// The last word on this connection, where none has been said yet.
void Http1Connection::Refuse(int status, std::string_view text) {
  const bool said = stream_->sent_headers_;
  CloseStream(status == 408 ? CloseCode::kCancel : CloseCode::kProtocolError);
  if (said) return Close();
  const std::string body = std::string(R"({"error":")").append(text).append("\"}");
  Headers headers;
  headers.Add(":status", std::to_string(status));
  headers.Add("content-type", "application/json");
  headers.Add("content-length", std::to_string(body.size()));
  scratch_.clear();
  AppendAnswerHead(
      headers,
      {.end = BodyEnd::kLength, .keep_alive = false, .old_peer = false, .date = absl::Now()},
      scratch_);
  if (stream_->headers_.ValueOr(":method", "") != "HEAD") scratch_ += body;
  outgoing_.AppendCopy(scratch_, loop_.blocks());
  Linger();
}

void Http1Connection::Linger() {
  if (state_ != State::kOpen) return;
  state_ = State::kLingering;
  rest_ = Slice();
  since_ = loop_.now();
  times_.Start(kLongestLinger);
  Flush();
}

void Http1Connection::OnTurnEnd() {
  if (state_ == State::kOpen) {
    TakeRest();
    FillOutgoing();
    FinishRequest();
  }
  if (state_ != State::kClosed && !WriteSocket()) Close();
  if (state_ != State::kClosed) UpdateEvents();
  if (state_ == State::kClosed && !std::exchange(told_, true)) owner_.OnConnectionClosed(*this);
}

void Http1Connection::FillOutgoing() {
  RequestStream& stream = *stream_;
  BlockPool& blocks = loop_.blocks();
  while (stream.handler_ && !stream.body_.empty() &&
         outgoing_.size() < options_.limits.outgoing_bytes) {
    size_t count = std::min(stream.body_.size(), kLargestChunk);
    if (stream.promised_) count = std::min<uint64_t>(count, *stream.promised_);
    if (count == 0 || stream.bodiless_) {  // more than was promised, or wanted
      count = stream.body_.size();
      stream.body_.Drop(count);
    } else {
      scratch_.clear();
      if (stream.end_ == BodyEnd::kChunks) AppendChunkHead(count, scratch_);
      outgoing_.AppendCopy(scratch_, blocks);
      stream.body_.MoveTo(outgoing_, count, blocks);
      if (stream.end_ == BodyEnd::kChunks) outgoing_.AppendCopy("\r\n", blocks);
      if (stream.promised_) *stream.promised_ -= count;
    }
    stream.handler_->OnSent(stream, count);
  }
  if (!stream.handler_ || !stream.ends_ || !stream.body_.empty() || stream.end_written_) return;
  stream.end_written_ = true;
  if (stream.end_ != BodyEnd::kChunks || stream.bodiless_) return;
  scratch_ = "0\r\n";
  AppendFields(stream.end_trailers_, scratch_);
  scratch_ += "\r\n";
  outgoing_.AppendCopy(scratch_, blocks);
}

void Http1Connection::FinishRequest() {
  RequestStream& stream = *stream_;
  if (!stream.handler_) return;
  if (stream.reset_ && !stream.end_written_) {
    if (!stream.sent_headers_) return Refuse(503, "the call broke off; try again");
    CloseStream(*stream.reset_);
    return Close();  // the peer sees that the answer is not whole
  }
  if (!stream.end_written_) return;
  const bool whole = stream.promised_.value_or(0) == 0;
  const bool goes_on = stream.keep_alive_ && stream.request_ended_ && !draining_ && whole;
  CloseStream(CloseCode::kNoError);
  stream.Clear();
  if (!goes_on) return Linger();
  reader_.Begin();
  since_ = loop_.now();
  Flush();  // another request may be here already
}

// False when the connection is broken.
bool Http1Connection::WriteSocket() {
  while (!outgoing_.empty() || bytes_->WantsToWrite(false)) {
    const WriteResult result = WriteOut(outgoing_, *bytes_);
    if (result == WriteResult::kBroken) return false;
    if (result == WriteResult::kNothing) break;
    wrote_ = loop_.now();
    if (result == WriteResult::kSome) break;
  }
  // There is room for more of the answer.
  if (state_ == State::kOpen && !stream_->body_.empty() && outgoing_.empty()) Flush();
  if (state_ == State::kLingering && outgoing_.empty()) bytes_->EndWriting();
  return true;
}

void Http1Connection::UpdateEvents() {
  uint32_t events = 0;
  if (MayRead()) events |= EPOLLIN;
  if (bytes_->WantsToWrite(!outgoing_.empty())) events |= EPOLLOUT;
  if (events != events_) {
    events_ = events;
    loop_.ChangeEvents(bytes_->fd(), events, this);
  }
  if (bytes_->has_more() && MayRead()) ReadSocket();
}

// Looked at now and then: whoever is waited for may have a little longer.
void Http1Connection::CheckTimes() {
  const Http2Times& times = options_.times;
  const Instant now = loop_.now();
  if (state_ == State::kLingering) return Close();
  if (!outgoing_.empty() && now - wrote_ >= times.unread) return Close();
  if (!stream_->handler_) {
    const bool begun = reader_.head_begun();
    if (begun && now - since_ >= times.headers) {
      return Refuse(408, "the headers did not come in time");
    }
    if (!begun && now - since_ >= times.idle) return Close();
  } else if (!stream_->request_ended_ && stream_->body_owed_ && stream_->unconsumed_ == 0 &&
             now - heard_ >= times.body) {
    return Refuse(408, "the body did not come in time");
  }
  const absl::Duration shortest = std::min({times.headers, times.idle, times.body, times.unread});
  times_.Start(std::max(shortest / 4, absl::Milliseconds(10)));
}

}  // namespace torchfleet::net
