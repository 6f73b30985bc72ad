#include "tests/unit/net/http1_peer.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <utility>

namespace torchfleet::net {
namespace {

std::atomic<int> cancelled = 0;

class TestRequest final : public StreamHandler {
  void OnHeaders(Stream& stream, bool end) override {
    path_ = stream.headers().ValueOr(":path", "");
    if (path_ == "/hold" || path_ == "/deaf") return;
    if (path_ == "/reset") return stream.Reset(CloseCode::kRefusedStream);
    Headers answer;
    answer.Add(":status", path_ == "/echo" || path_.starts_with("/large?") ? "200" : "404");
    answer.Add("x-method", stream.headers().ValueOr(":method", ""));
    if (path_.starts_with("/large?")) {
      const size_t size = std::stoul(path_.substr(7));
      answer.Add("content-length", std::to_string(size));
      stream.SendHeaders(answer, false);
      return stream.Send(Slice::Keep(std::string(size, 'x')), true);
    }
    if (path_ != "/echo") return stream.SendHeaders(answer, true);
    if (const auto length = stream.headers().Find("content-length")) {
      answer.Add("content-length", *length);
    }
    answer_ = answer;
    if (end) stream.SendHeaders(answer_, true);
  }
  void OnBody(Stream& stream, const Slice& bytes) override {
    if (path_ == "/deaf") return;
    if (path_ == "/hold") return stream.Consumed(bytes.size());
    if (path_ != "/echo") return stream.Consumed(bytes.size());
    body_.append(bytes.bytes());
    stream.Consumed(bytes.size());
  }
  void OnEnd(Stream& stream) override {
    if (path_ != "/echo") return;
    stream.SendHeaders(answer_, false);
    stream.Send(Slice::Keep(std::move(body_)), true);
  }
  void OnSent(Stream&, size_t) override {}
  void OnClosed(Stream&, CloseCode code) override {
    if (code == CloseCode::kCancel) ++cancelled;
    delete this;
  }

  std::string path_, body_;
  Headers answer_;
};

class TestService final : public Service {
 public:
  StreamHandler* OnStream(Stream&) override { return new TestRequest; }
};

}  // namespace

int CancelledStreams() { return cancelled; }

std::unique_ptr<Server> Http1Server(Http2Options options) {
  ServerOptions server_options;
  server_options.http2 = options;
  return Http1Server(std::move(server_options));
}

std::unique_ptr<Server> Http1Server(ServerOptions options) {
  auto server =
      Server::Start(std::move(options), [](Loop&) { return std::make_unique<TestService>(); });
  REQUIRE(server.ok());
  return *std::move(server);
}

Http1Listener::Http1Listener(When when) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const auto any = ParseAddress("127.0.0.1:0");
  REQUIRE(bind(fd_, reinterpret_cast<const sockaddr*>(&any->storage), any->size) == 0);
  address_ = BoundAddress(fd_);
  if (when == When::kNow) Listen();
}

void Http1Listener::Listen() { REQUIRE(listen(fd_, 10) == 0); }

Http1Listener::~Http1Listener() { close(fd_); }

std::unique_ptr<Http1Peer> Http1Listener::Accept() {
  const int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
  REQUIRE(fd >= 0);
  return std::make_unique<Http1Peer>(fd);
}

Http1Peer::Http1Peer(const Server& server) {
  const Address address = *ParseAddress(server.address());
  fd_ = socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(connect(fd_, reinterpret_cast<const sockaddr*>(&address.storage), address.size) == 0);
}

Http1Peer::~Http1Peer() { Close(); }

void Http1Peer::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

void Http1Peer::Break() {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  Close();
}

void Http1Peer::HalfClose() { shutdown(fd_, SHUT_WR); }

void Http1Peer::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

size_t Http1Peer::WriteUntilFull(std::string_view bytes) {
  size_t written = 0;
  // Full when nothing has moved for a while.
  for (int idle = 0; idle < 20 && written < bytes.size();) {
    const ssize_t count =
        send(fd_, bytes.data() + written, bytes.size() - written, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) {
      written += static_cast<size_t>(count);
      idle = 0;
    } else {
      pollfd room{.fd = fd_, .events = POLLOUT, .revents = 0};
      if (poll(&room, 1, 10) == 0) ++idle;
    }
  }
  return written;
}

bool Http1Peer::Fill() {
  pollfd readable{.fd = fd_, .events = POLLIN, .revents = 0};
  if (poll(&readable, 1, 10'000) != 1) return false;
  char piece[64 << 10];
  const ssize_t count = read(fd_, piece, sizeof piece);
  if (count <= 0) {
    ended_ = true;
    return false;
  }
  received_.append(piece, static_cast<size_t>(count));
  return true;
}

std::string Http1Peer::ReadThrough(std::string_view text) {
  size_t at;
  while ((at = received_.find(text)) == received_.npos) {
    if (!Fill()) return std::exchange(received_, {});
  }
  const std::string through = received_.substr(0, at + text.size());
  received_.erase(0, through.size());
  return through;
}

std::string Http1Peer::ReadAll() {
  while (Fill()) {
  }
  return std::exchange(received_, {});
}

}  // namespace torchfleet::net
