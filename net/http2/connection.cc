#include "net/http2/connection.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "net/http2/http2_stream.h"
#include "net/http2/session_memory.h"
#include "net/socket/write_out.h"

namespace torchfleet::net {
namespace {

constexpr uint64_t kUnlimited = 1 << 30;
// Frames that come are taken as they are read, so large ones cost no memory.
constexpr uint32_t kFrameSize = 64 << 10;
// For what is on its way when a server says that it will take no more.
constexpr absl::Duration kNoticeTime = absl::Milliseconds(100);

// Different for each call, so that the peer's table is no place for it: there it
// would only drive out what every call has.
bool IsItsOwn(std::string_view name) {
  switch (name.size()) {
    case 11:
      return name == "traceparent";
    case 12:
      return name == "grpc-timeout" || name == "grpc-message" || name == "x-request-id";
    case 23:
      return name == "grpc-status-details-bin";
    default:
      return false;
  }
}

}  // namespace

Http2Connection::Http2Connection(Role role, Loop& loop, std::unique_ptr<ByteStream> bytes,
                                 const Http2Options& options, Owner& owner, Slice begun)
    : role_(role),
      loop_(loop),
      bytes_(std::move(bytes)),
      options_(options),
      owner_(owner),
      begun_(std::move(begun)),
      resets_(options.limits.resets),
      pings_(options.limits.pings),
      heard_(loop.now()),
      busy_(loop.now()),
      headers_since_(loop.now()),
      times_(loop, [this] { CheckTimes(); }),
      goodbye_timer_(loop, [this] { SayGoodbye(); }) {
  MakeSession();
  // A client's connection is being made: writable is the first it hears.
  waits_to_write_ = role_ == Role::kClient;
  loop_.Watch(bytes_->fd(), Events(), this);
  times_.Start(UntilNextCheck());
  Flush();
}

Http2Connection::~Http2Connection() {
  Close();
  loop_.ForgetTurnEnd(this);
  nghttp2_session_del(session_);
}

void Http2Connection::MakeSession() {
  nghttp2_option* option;
  nghttp2_option_new(&option);
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  nghttp2_option_set_peer_max_concurrent_streams(option, 100);
  // Ours knows which resets are paid for by calls.
  nghttp2_option_set_stream_reset_rate_limit(option, kUnlimited, kUnlimited);
  // RFC 9113 has no blanks at a value's ends; gRPC's servers send what a message or
  // metadata ends with.
  nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(option, role_ == Role::kClient);
  if (role_ == Role::kServer) {
    nghttp2_session_server_new3(&session_, Callbacks(), this, option, SessionMemory());
  } else {
    nghttp2_session_client_new3(&session_, Callbacks(), this, option, SessionMemory());
  }
  nghttp2_option_del(option);
  const Http2Limits& limits = options_.limits;
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits.stream_window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<uint32_t>(limits.header_bytes)},
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.streams},
      {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, kFrameSize},
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
  // ENABLE_PUSH is a client's to say.
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, role_ == Role::kClient ? 5 : 4);
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                        static_cast<int32_t>(limits.connection_window));
}

Stream* Http2Connection::Open(const Headers& headers, bool end, StreamHandler& handler) {
  Http2Stream* const stream = NewStream();
  stream->handler_ = &handler;
  nghttp2_data_provider provider{.source = {.ptr = stream}, .read_callback = &ReadBody};
  stream->sent_headers_ = true;
  stream->body_ends_ = end;
  const int32_t id = state_ == State::kOpen
                         ? nghttp2_submit_request(session_, nullptr, Fields(headers),
                                                  headers.size(), end ? nullptr : &provider, stream)
                         : -1;
  if (id > 0) {
    stream->id_ = id;
  } else {
    EndLater(*stream, CloseCode::kNeverSent);
  }
  stream->heard_ = busy_ = loop_.now();
  Flush();
  return stream;
}

void Http2Connection::Drain() {
  if (state_ != State::kOpen) return;
  state_ = State::kDraining;
  if (role_ == Role::kServer) {
    // First a notice that takes no stream back; what the peer had sent before
    // it read that is still served (RFC 9113, section 6.8).
    nghttp2_submit_shutdown_notice(session_);
    goodbye_timer_.Start(kNoticeTime);
  }
  Flush();
}

void Http2Connection::SayGoodbye() {
  goodbye_ = true;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                        nullptr, 0);
  Flush();
}

void Http2Connection::Close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  times_.Stop();
  goodbye_timer_.Stop();
  loop_.Unwatch(bytes_->fd(), this);
  EndStreams();
  const CloseCode lost =
      role_ == Role::kServer || wrote_ ? CloseCode::kConnectionLost : CloseCode::kNeverSent;
  while (!open_.empty()) CloseStream(*open_.back(), lost);
  outgoing_.Clear();
  Flush();  // where the owner is told
}

void Http2Connection::OnEvents(uint32_t events) {
  if (state_ == State::kClosed) return;
  if (events & EPOLLOUT) Flush();
  if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
  do {
    ReadSocket();
  } while (state_ != State::kClosed && bytes_->has_more());
}

void Http2Connection::ReadSocket() {
  const BlockPool::Room room = loop_.blocks().ReadRoom();
  const ssize_t count = bytes_->Read(room.at, room.size);
  if (count == ByteStream::kWait) return Flush();  // a handshake may be done
  if (count <= 0) return Close();
  loop_.blocks().Filled(static_cast<size_t>(count));
  heard_ = loop_.now();
  heard_anything_ = true;
  pinged_ = Instant();
  Receive(room.block, {room.at, static_cast<size_t>(count)});
}

void Http2Connection::Receive(Block* block, std::string_view bytes) {
  receiving_block_ = block;
  const ssize_t taken = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (state_ == State::kClosed) return;
  // For most errors the session has a GOAWAY of its own ready.
  if (taken < 0) nghttp2_session_terminate_session(session_, NGHTTP2_PROTOCOL_ERROR);
  Flush();
}

// Too much of what costs us and does nothing: not a peer to go on with.
void Http2Connection::Punish() {
  nghttp2_session_terminate_session(session_, NGHTTP2_ENHANCE_YOUR_CALM);
  Flush();
}

void Http2Connection::OnTurnEnd() {
  if (!begun_.empty() && state_ != State::kClosed) {
    const Slice begun = std::exchange(begun_, Slice());
    heard_anything_ = true;
    Receive(begun.block(), begun.bytes());
    while (state_ != State::kClosed && bytes_->has_more()) ReadSocket();
  }
  if (state_ != State::kClosed) {
    EndStreams();
    if (!WriteSocket()) Close();
  }
  if (state_ != State::kClosed && Finished()) Close();
  if (state_ == State::kClosed && !std::exchange(told_, true)) owner_.OnConnectionClosed(*this);
}

// Nothing is left to do on it.
bool Http2Connection::Finished() const {
  if (!outgoing_.empty() || bytes_->WantsToWrite(false)) return false;
  if (!nghttp2_session_want_read(session_) && !nghttp2_session_want_write(session_)) return true;
  return state_ == State::kDraining && open_.empty() && (role_ == Role::kClient || goodbye_);
}

uint32_t Http2Connection::Events() const {
  return waits_to_write_ ? uint32_t{EPOLLIN} | uint32_t{EPOLLOUT} : uint32_t{EPOLLIN};
}

// False when the connection is broken.
bool Http2Connection::WriteSocket() {
  while (true) {
    if (!FillOutgoing()) return false;
    if (outgoing_.empty() && !bytes_->WantsToWrite(false)) break;
    const WriteResult result = WriteOut(outgoing_, *bytes_);
    if (result == WriteResult::kBroken) return false;
    if (result == WriteResult::kNothing) break;
    wrote_ = true;
    if (result == WriteResult::kSome) break;
  }
  const bool wait = bytes_->WantsToWrite(!outgoing_.empty());
  if (wait != waits_to_write_) {
    waits_to_write_ = wait;
    loop_.ChangeEvents(bytes_->fd(), Events(), this);
  }
  return true;
}

bool Http2Connection::FillOutgoing() {
  while (outgoing_.size() < options_.limits.outgoing_bytes) {
    const uint8_t* bytes;
    const size_t before = outgoing_.size();
    const ssize_t count = nghttp2_session_mem_send(session_, &bytes);
    if (count < 0) return false;
    if (count > 0) {
      outgoing_.AppendCopy({reinterpret_cast<const char*>(bytes), static_cast<size_t>(count)},
                           loop_.blocks());
    } else if (outgoing_.size() == before) {  // SendBody puts frames there by itself
      return true;
    }
  }
  return true;
}

Http2Stream* Http2Connection::NewStream() {
  Http2Stream* const stream = &free_.Take(*this);
  stream->Clear();
  stream->place_ = open_.size();
  open_.push_back(stream);
  return stream;
}

void Http2Connection::Detach(Http2Stream& stream, CloseCode code) {
  StreamHandler* const handler = std::exchange(stream.handler_, nullptr);
  if (handler) handler->OnClosed(stream, code);
  if (stream.id_ != 0 && stream.unconsumed_ > 0) {
    nghttp2_session_consume_connection(session_, std::exchange(stream.unconsumed_, 0));
  }
  stream.body_.Clear();
}

void Http2Connection::EndLater(Http2Stream& stream, CloseCode code) {
  if (std::exchange(stream.ending_, true)) return;
  ending_.push_back({&stream, code});
  Flush();
}

void Http2Connection::EndStreams() {
  for (size_t left = ending_.size(); left > 0 && !ending_.empty(); --left) {
    const auto [stream, code] = ending_.back();
    ending_.pop_back();
    stream->ending_ = false;
    if (stream->on_wire_) {
      Detach(*stream, code);  // closed when nghttp2 has written that it is
    } else {
      CloseStream(*stream, code);
    }
  }
}

void Http2Connection::CloseStream(Http2Stream& stream, CloseCode code) {
  if (stream.ending_) {
    const auto ending = std::find_if(ending_.begin(), ending_.end(),
                                     [&](const Ending& e) { return e.stream == &stream; });
    code = ending->code;  // this side was first
    ending_.erase(ending);
  }
  Detach(stream, code);
  if (stream.id_ != 0 && stream.id_ == headers_of_) headers_since_ = Instant();
  if (receiving_headers_ == &stream) receiving_headers_ = nullptr;
  if (stream.id_ != 0) nghttp2_session_set_stream_user_data(session_, stream.id_, nullptr);
  stream.Clear();
  open_[stream.place_] = open_.back();
  open_[stream.place_]->place_ = stream.place_;
  open_.pop_back();
  free_.Give(stream);
  busy_ = loop_.now();
  Flush();
}

Http2Stream* Http2Connection::Find(int32_t id) {
  return static_cast<Http2Stream*>(nghttp2_session_get_stream_user_data(session_, id));
}

bool Http2Connection::PassedOver(int32_t id) {
  if (id <= highest_) return id >= passed_from_ && id <= passed_to_;
  if (id - 2 > highest_) {
    passed_from_ = highest_ + 2;
    passed_to_ = id - 2;
  }
  highest_ = id;
  return false;
}

// For a call of nghttp2, which copies them.
const nghttp2_nv* Http2Connection::Fields(const Headers& headers) {
  fields_.clear();
  for (const auto [name, value] : headers) {
    const uint8_t flags = IsItsOwn(name) ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE;
    fields_.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
                       reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(),
                       value.size(), flags});
  }
  return fields_.data();
}

// Times are looked at now and then, not timed one by one: a stream or a header
// block may have a little longer than it says.
absl::Duration Http2Connection::UntilNextCheck() const {
  const Http2Times& times = options_.times;
  absl::Duration shortest = std::min(times.idle, times.ping_after);
  if (pinged_ != Instant()) shortest = std::min(shortest, times.ping_answer);
  shortest = std::min({shortest, times.headers, times.unread});
  if (role_ == Role::kServer) shortest = std::min(shortest, times.body);
  return std::max(shortest / 4, absl::Milliseconds(10));
}

void Http2Connection::CheckTimes() {
  const Http2Times& times = options_.times;
  const Instant now = loop_.now();
  if (pinged_ != Instant() && now - pinged_ >= times.ping_answer) return Close();
  if (pinged_ == Instant() && now - heard_ >= times.ping_after) {
    nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
    pinged_ = now;
    Flush();
  }
  if (headers_since_ != Instant() && now - headers_since_ >= times.headers) return Close();
  for (Http2Stream* stream : open_) {
    const bool owes = role_ == Role::kServer && !stream->peer_ended_ && stream->body_owed_ &&
                      stream->unconsumed_ == 0;
    const bool reads_nothing = stream->waiting() > 0 && now - stream->sent_ >= times.unread;
    if (reads_nothing || (owes && now - stream->heard_ >= times.body)) {
      stream->Reset(CloseCode::kCancel);
    }
  }
  if (open_.empty() && state_ == State::kOpen && now - busy_ >= times.idle) {
    nghttp2_session_terminate_session(session_, NGHTTP2_NO_ERROR);
    Flush();
  }
  times_.Start(UntilNextCheck());
}

}  // namespace torchfleet::net
