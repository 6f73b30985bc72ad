#include "net/http1/http1_client.h"

#include <algorithm>
#include <utility>

#include "net/http1/http1_writer.h"
#include "net/socket/write_out.h"

namespace torchfleet::net {
namespace {

constexpr size_t kLargestChunk = 64 << 10;

}  // namespace

bool Http1Client::AnswerStream::Takes(bool end) {
  if (ends_ || handler_ == nullptr) return false;
  ends_ = end;
  connection_.Flush();
  return true;
}

void Http1Client::AnswerStream::Send(Slice body, bool end) {
  if (Takes(end)) body_.Append(std::move(body));
}

void Http1Client::AnswerStream::SendCopy(std::string_view body, bool end) {
  if (Takes(end)) body_.AppendCopy(body, connection_.loop_.blocks());
}

void Http1Client::AnswerStream::Reset(CloseCode code) {
  if (handler_ == nullptr || reset_) return;
  reset_ = code;
  connection_.Flush();
}

void Http1Client::AnswerStream::Consumed(size_t count) {
  unconsumed_ -= std::min(count, unconsumed_);
  connection_.Flush();
}

Http1Client::Http1Client(Loop& loop, std::unique_ptr<ByteStream> bytes, const Http2Options& options,
                         Owner& owner)
    : loop_(loop),
      bytes_(std::move(bytes)),
      options_(options),
      owner_(owner),
      reader_(Http1Reader::Role::kAnswers, options.limits.header_bytes),
      stream_(*this),
      events_(EPOLLIN | EPOLLOUT),
      idle_(loop, [this] { Close(); }) {
  loop_.Watch(bytes_->fd(), events_, this);
}

Http1Client::~Http1Client() {
  Close();
  loop_.ForgetTurnEnd(this);
}

Stream* Http1Client::Open(const Headers& headers, bool end, StreamHandler& handler) {
  stream_.headers_.Clear();
  stream_.trailers_.Clear();
  stream_.body_.Clear();
  stream_.handler_ = &handler;
  stream_.ends_ = end;
  stream_.chunked_ = !end && !headers.Find("content-length");
  stream_.written_ = stream_.answered_ = wrote_ = false;
  stream_.unconsumed_ = 0;
  stream_.reset_.reset();
  to_head_ = headers.ValueOr(":method", "") == "HEAD";
  reader_.Begin(to_head_);
  idle_.Stop();
  scratch_.clear();
  AppendRequestHead(headers, stream_.chunked_, scratch_);
  outgoing_.AppendCopy(scratch_, loop_.blocks());
  Flush();
  return &stream_;
}

void Http1Client::Drain() {
  draining_ = true;
  if (!stream_.handler_) Close();
}

void Http1Client::Close() { Break(CloseCode::kConnectionLost); }

void Http1Client::Break(CloseCode code) {
  if (!std::exchange(open_, false)) return;
  idle_.Stop();
  loop_.Unwatch(bytes_->fd(), this);
  outgoing_.Clear();
  rest_ = Slice();
  Flush();  // where the owner is told
  Tell(code);
}

void Http1Client::Tell(CloseCode code) {
  StreamHandler* const handler = std::exchange(stream_.handler_, nullptr);
  if (handler) handler->OnClosed(stream_, stream_.reset_.value_or(code));
}

void Http1Client::OnEvents(uint32_t events) {
  if (!open_) return;
  if (events & EPOLLOUT) Flush();
  if (events & (EPOLLHUP | EPOLLERR) && !(events & EPOLLIN)) return ReadLast();
  if (!(events & EPOLLIN)) return;
  do {
    ReadSocket();
  } while (open_ && MayRead() && bytes_->has_more());
}

bool Http1Client::MayRead() const {
  return rest_.empty() && stream_.unconsumed_ <= options_.limits.stream_window;
}

// Whether bytes came.
bool Http1Client::ReadSocket() {
  const BlockPool::Room room = loop_.blocks().ReadRoom();
  const ssize_t count = bytes_->Read(room.at, room.size);
  Flush();
  if (count == ByteStream::kWait) return false;
  if (count <= 0) {
    PeerClosed(/*cleanly=*/count == ByteStream::kEnd);
    return false;
  }
  heard_ = true;
  // Bytes that nobody asked for.
  if (!stream_.handler_) {
    Close();
    return false;
  }
  loop_.blocks().Filled(static_cast<size_t>(count));
  rest_ = Slice(room.block, {room.at, static_cast<size_t>(count)});
  TakeRest();
  return true;
}

// The connection is broken, but the peer may have answered before.
void Http1Client::ReadLast() {
  while (open_ && MayRead() && !stream_.answered_ && ReadSocket()) {
  }
  if (open_) PeerClosed(/*cleanly=*/false);
}

// `cleanly`: it said that it would, so an answer may end so.
void Http1Client::PeerClosed(bool cleanly) {
  if (cleanly && stream_.handler_ && !stream_.answered_ &&
      reader_.Close() == Http1Reader::Event::kEnd) {
    TakeEvent(Http1Reader::Event::kEnd);
  }
  draining_ = true;
  if (stream_.answered_) Tell(CloseCode::kNoError);
  Break(wrote_ ? CloseCode::kConnectionLost : CloseCode::kNeverSent);
}

void Http1Client::TakeRest() {
  while (open_ && !rest_.empty() && !stream_.answered_ && !stream_.reset_ &&
         stream_.unconsumed_ <= options_.limits.stream_window) {
    std::string_view bytes = rest_.bytes();
    const Http1Reader::Event event = reader_.Next(bytes, stream_.headers_, stream_.trailers_);
    if (event == Http1Reader::Event::kBody) {
      const Slice body(rest_.block(), reader_.body());
      rest_.RemovePrefix(rest_.size() - bytes.size());
      stream_.unconsumed_ += body.size();
      stream_.handler_->OnBody(stream_, body);
      continue;
    }
    rest_.RemovePrefix(rest_.size() - bytes.size());
    if (!TakeEvent(event)) break;
  }
  // Also what ended with the last byte of a body.
  if (open_ && rest_.empty() && stream_.handler_ && !stream_.answered_ && reader_.in_body()) {
    std::string_view none;
    const Http1Reader::Event event = reader_.Next(none, stream_.headers_, stream_.trailers_);
    if (event != Http1Reader::Event::kMore) TakeEvent(event);
  }
  if (rest_.empty()) rest_ = Slice();
}

// Whether there may be another.
bool Http1Client::TakeEvent(Http1Reader::Event event) {
  switch (event) {
    case Http1Reader::Event::kHead:
      // 100 Continue and its like come before the answer.
      if (stream_.headers_.ValueOr(":status", "").starts_with('1')) {
        reader_.Begin(to_head_);
        return true;
      }
      stream_.answered_ = !reader_.message().has_body;
      stream_.handler_->OnHeaders(stream_, stream_.answered_);
      return true;
    case Http1Reader::Event::kEnd:
      stream_.answered_ = true;
      stream_.handler_->OnEnd(stream_);
      return true;
    case Http1Reader::Event::kError:
      Break(CloseCode::kProtocolError);
      return false;
    default:
      return false;
  }
}

void Http1Client::OnTurnEnd() {
  if (open_) {
    TakeRest();
    FillOutgoing();
  }
  if (open_ && !WriteSocket()) ReadLast();
  if (open_) FinishRequest();
  if (open_) UpdateEvents();
  if (!open_ && !std::exchange(told_, true)) owner_.OnConnectionClosed(*this);
}

void Http1Client::FillOutgoing() {
  BlockPool& blocks = loop_.blocks();
  while (stream_.handler_ && !stream_.body_.empty() &&
         outgoing_.size() < options_.limits.outgoing_bytes) {
    const size_t count = std::min(stream_.body_.size(), kLargestChunk);
    if (stream_.chunked_) {
      scratch_.clear();
      AppendChunkHead(count, scratch_);
      outgoing_.AppendCopy(scratch_, blocks);
    }
    stream_.body_.MoveTo(outgoing_, count, blocks);
    if (stream_.chunked_) outgoing_.AppendCopy("\r\n", blocks);
    stream_.handler_->OnSent(stream_, count);
  }
  if (!stream_.handler_ || !stream_.ends_ || !stream_.body_.empty()) return;
  if (std::exchange(stream_.written_, true) || !stream_.chunked_) return;
  outgoing_.AppendCopy("0\r\n\r\n", blocks);
}

void Http1Client::FinishRequest() {
  if (!stream_.handler_) return;
  if (stream_.reset_) {
    gave_up_ = true;
    return Break(*stream_.reset_);
  }
  if (!stream_.answered_) return;
  const bool goes_on = stream_.written_ && outgoing_.empty() && rest_.empty() && !draining_ &&
                       reader_.message().keep_alive;
  // It counts as free for whoever is told.
  if (!goes_on) draining_ = true;
  idle_.Start(options_.times.idle);
  Tell(CloseCode::kNoError);
  if (!goes_on) Close();
}

// False when the connection is broken.
bool Http1Client::WriteSocket() {
  while (!outgoing_.empty() || bytes_->WantsToWrite(false)) {
    const size_t before = outgoing_.size();
    const WriteResult result = WriteOut(outgoing_, *bytes_);
    if (outgoing_.size() < before) wrote_ = true;
    if (result == WriteResult::kBroken) return false;
    if (result != WriteResult::kAll) break;
  }
  // There is room for more of the request.
  if (!stream_.body_.empty() && outgoing_.empty()) Flush();
  return true;
}

void Http1Client::UpdateEvents() {
  uint32_t events = 0;
  if (MayRead()) events |= EPOLLIN;
  if (bytes_->WantsToWrite(!outgoing_.empty())) events |= EPOLLOUT;
  if (events != events_) {
    events_ = events;
    loop_.ChangeEvents(bytes_->fd(), events, this);
  }
  if (bytes_->has_more() && MayRead()) ReadSocket();
}

}  // namespace torchfleet::net
