#include "tests/fuzz/fed_connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "net/socket/socket_stream.h"

namespace torchfleet::net {

class Heard::Listener final : public StreamHandler {
 public:
  Listener(Heard& heard, int number) : heard_(heard), number_(number) {}

  void OnHeaders(Stream& stream, bool end) override {
    std::string fields;
    for (const auto [name, value] : stream.headers()) {
      fields.append(name).append("=").append(value).append(";");
    }
    heard_.Note(number_, 'H', fields);
    if (end) OnEnd(stream);
  }
  void OnBody(Stream& stream, const Slice& bytes) override {
    heard_.Note(number_, 'B', bytes.bytes());
    stream.Consumed(bytes.size());
  }
  void OnEnd(Stream& stream) override {
    std::string fields;
    for (const auto [name, value] : stream.trailers()) {
      fields.append(name).append("=").append(value).append(";");
    }
    heard_.Note(number_, 'E', fields);
    if (!heard_.answer_.empty()) stream.SendHeaders(heard_.answer_, /*end=*/true);
  }
  void OnSent(Stream&, size_t) override {}
  void OnClosed(Stream&, CloseCode code) override {
    --heard_.open_;
    const bool torn_down = code == CloseCode::kConnectionLost || code == CloseCode::kNeverSent;
    if (code != CloseCode::kNoError && !torn_down) heard_.ended_early_ = true;
  }

 private:
  Heard& heard_;
  const int number_;
};

Heard::Heard(const Headers& answer) : answer_(answer) {}
Heard::~Heard() = default;

StreamHandler& Heard::Next() {
  ++open_;
  const int number = static_cast<int>(listeners_.size());
  return *listeners_.emplace_back(std::make_unique<Listener>(*this, number));
}

void Heard::Note(int stream, char what, std::string_view text) {
  if (ended_early_) return;
  const bool goes_on = what == 'B' && body_of_ == stream;
  if (!goes_on) text_.append("\n").append(std::to_string(stream)).append(1, what);
  text_.append(text);
  body_of_ = what == 'B' ? stream : -1;
}

bool Heard::Agree(const Heard& a, const Heard& b) {
  if (!a.ended_early_ && !b.ended_early_) return a.text_ == b.text_;
  const size_t both = std::min(a.text_.size(), b.text_.size());
  return a.text_.compare(0, both, b.text_, 0, both) == 0;
}

FedConnection::FedConnection(std::string_view bytes, size_t step, Handlers handlers)
    : left_(bytes), step_(step), handlers_(std::move(handlers)) {
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends_) != 0) std::abort();
  loop_->Post([this] { Give(); });
}

FedConnection::~FedConnection() { close(ends_[1]); }

std::unique_ptr<ByteStream> FedConnection::Socket() {
  return std::make_unique<SocketStream>(ends_[0]);
}

std::string FedConnection::Run(std::unique_ptr<Connection> connection) {
  loop_->Run();
  connection.reset();
  std::string said;
  char room[4096];
  for (ssize_t count; (count = recv(ends_[1], room, sizeof room, 0)) > 0;) {
    said.append(room, static_cast<size_t>(count));
  }
  return said;
}

// That our side may have closed meanwhile is no matter.
void FedConnection::Give() {
  const std::string_view piece = left_.substr(0, step_);
  left_.remove_prefix(piece.size());
  if (!piece.empty()) {
    [[maybe_unused]] const ssize_t sent = send(ends_[1], piece.data(), piece.size(), MSG_NOSIGNAL);
  }
  if (left_.empty()) {
    shutdown(ends_[1], SHUT_WR);
  } else {
    loop_->Post([this] { Give(); });
  }
}

}  // namespace torchfleet::net
