#include "tests/unit/net/raw_peer.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include "net/grpc/server_call.h"
#include "net/socket/address.h"

namespace torchfleet::net {
namespace {

struct EchoHandler : GrpcServerHandler {
  void OnMessage(GrpcServerCall& call, const Slice& message) override { call.Send(message); }
  void OnHalfClose(GrpcServerCall& call) override { call.Finish({}); }
  void OnDone(GrpcServerCall&, bool) override {}
};

uint32_t Read32(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

}  // namespace

std::unique_ptr<Server> EchoServer(Http2Options options) {
  ServerOptions server_options;
  server_options.http2 = options;
  return EchoServer(std::move(server_options));
}

std::unique_ptr<Server> EchoServer(ServerOptions options) {
  static EchoHandler echo;
  auto server = Server::Start(std::move(options), [](Loop& loop) {
    auto service = std::make_unique<GrpcService>(loop);
    service->Add("/echo.Echo/Say", [](GrpcServerCall&) { return &echo; });
    return service;
  });
  REQUIRE(server.ok());
  return *std::move(server);
}

RawPeer::RawPeer(const Server& server, bool hello) {
  const auto address = ParseAddress(server.address());
  REQUIRE(address.ok());
  fd_ = socket(address->family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  nghttp2_hd_inflate_new(&inflater_);
  REQUIRE(connect(fd_, reinterpret_cast<const sockaddr*>(&address->storage), address->size) == 0);
  if (hello) {
    Write(kPreface);
    Write(kSettingsFrame, 0, 0, "");
  }
}

RawPeer::RawPeer(int fd) : fd_(fd), preface_due_(true) {
  nghttp2_hd_inflate_new(&inflater_);
  Write(kSettingsFrame, 0, 0, "");
}

RawPeer::~RawPeer() {
  close(fd_);
  nghttp2_hd_inflate_del(inflater_);
}

void RawPeer::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

void RawPeer::Call(uint32_t stream, std::string_view message) {
  Write(kHeadersFrame, kEndHeaders, stream, EchoHeaders());
  Write(kDataFrame, kEndStream, stream, EchoBody(message));
}

bool RawPeer::Fill(size_t size) {
  while (received_.size() < size) {
    pollfd readable{.fd = fd_, .events = POLLIN, .revents = 0};
    char room[65536];
    if (poll(&readable, 1, 10000) <= 0) return false;
    const ssize_t count = recv(fd_, room, sizeof room, 0);
    if (count <= 0) return false;
    received_.append(room, static_cast<size_t>(count));
  }
  return true;
}

void RawPeer::Inflate(Frame& frame) {
  REQUIRE((frame.flags & kEndHeaders) != 0);
  const auto* at = reinterpret_cast<const uint8_t*>(frame.payload.data());
  const auto* const end = at + frame.payload.size();
  int flags = 0;
  while ((flags & NGHTTP2_HD_INFLATE_FINAL) == 0) {
    nghttp2_nv field;
    const ssize_t used = nghttp2_hd_inflate_hd2(inflater_, &field, &flags, at,
                                                static_cast<size_t>(end - at), /*in_final=*/1);
    REQUIRE(used >= 0);
    at += used;
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0) continue;
    frame.fields.Add({reinterpret_cast<const char*>(field.name), field.namelen},
                     {reinterpret_cast<const char*>(field.value), field.valuelen});
  }
  nghttp2_hd_inflate_end_headers(inflater_);
}

std::optional<Frame> RawPeer::Next() {
  if (preface_due_) {
    if (!Fill(kPreface.size())) return std::nullopt;
    CHECK(received_.substr(0, kPreface.size()) == kPreface);
    received_.erase(0, kPreface.size());
    preface_due_ = false;
  }
  if (!Fill(9)) return std::nullopt;
  const size_t size = Read32(received_) >> 8;
  if (!Fill(9 + size)) return std::nullopt;
  Frame frame{.type = static_cast<uint8_t>(received_[3]),
              .flags = static_cast<uint8_t>(received_[4]),
              .stream = Read32(std::string_view(received_).substr(5)),
              .payload = received_.substr(9, size),
              .fields = {}};
  received_.erase(0, 9 + size);
  if (frame.type == kHeadersFrame) Inflate(frame);
  if (frame.type == kSettingsFrame && (frame.flags & kAck) == 0) Write(kSettingsFrame, kAck, 0, "");
  return frame;
}

std::optional<Frame> RawPeer::NextOf(uint8_t type) {
  while (auto frame = Next()) {
    if (frame->type == type) return frame;
  }
  return std::nullopt;
}

std::vector<Frame> RawPeer::UntilPong() {
  Write(kPingFrame, 0, 0, "12345678");
  std::vector<Frame> frames;
  while (auto frame = Next()) {
    if (frame->type == kPingFrame && frame->flags == kAck) return frames;
    frames.push_back(std::move(*frame));
  }
  FAIL("the connection ended");
  return frames;
}

std::optional<uint32_t> RawPeer::GoawayCode() {
  const auto frame = NextOf(kGoawayFrame);
  if (!frame || frame->payload.size() < 8 || !Ends()) return std::nullopt;
  return Read32(std::string_view(frame->payload).substr(4));
}

std::optional<uint32_t> RawPeer::ResetCode(uint32_t stream) {
  while (const auto frame = NextOf(kResetFrame)) {
    if (frame->stream == stream) return Read32(frame->payload);
  }
  return std::nullopt;
}

std::optional<std::string> RawPeer::Echo(uint32_t stream) {
  std::string body;
  while (const auto frame = Next()) {
    if (frame->stream != stream) continue;
    if (frame->type == kResetFrame) return std::nullopt;
    if (frame->type == kDataFrame) body += frame->payload;
    if ((frame->type == kDataFrame || frame->type == kHeadersFrame) && frame->flags & kEndStream) {
      return body.substr(std::min<size_t>(5, body.size()));
    }
  }
  return std::nullopt;
}

RawListener::RawListener() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const auto any = ParseAddress("127.0.0.1:0");
  REQUIRE(bind(fd_, reinterpret_cast<const sockaddr*>(&any->storage), any->size) == 0);
  REQUIRE(listen(fd_, 10) == 0);
  address_ = BoundAddress(fd_);
}

RawListener::~RawListener() { close(fd_); }

std::unique_ptr<RawPeer> RawListener::Accept() {
  const int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
  REQUIRE(fd >= 0);
  return std::make_unique<RawPeer>(fd);
}

bool RawPeer::Ends() {
  while (Next()) continue;
  pollfd readable{.fd = fd_, .events = POLLIN, .revents = 0};
  char byte;
  return poll(&readable, 1, 10000) == 1 && recv(fd_, &byte, 1, 0) <= 0;
}

}  // namespace torchfleet::net
