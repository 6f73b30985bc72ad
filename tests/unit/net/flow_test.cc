// Who does not read is not read, costs a bounded part of our memory, and holds
// nobody else up.

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "net/grpc/server_call.h"
#include "tests/unit/net/raw_peer.h"

namespace torchfleet::net {
namespace {

uint32_t Number(std::string_view payload) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(payload[i]);
  return value;
}

// What the peer may still send, by the server's updates.
struct Windows {
  int64_t connection = 65535;
  int64_t stream = 65535;

  void Read(const std::vector<Frame>& frames, uint32_t id) {
    for (const Frame& frame : frames) {
      if (frame.type == kSettingsFrame) ReadSettings(frame);
      if (frame.type != kWindowFrame) continue;
      if (frame.stream == 0) connection += Number(frame.payload);
      if (frame.stream == id) stream += Number(frame.payload);
    }
  }
  void ReadSettings(const Frame& frame) {
    for (size_t at = 0; at + 6 <= frame.payload.size(); at += 6) {
      if (frame.payload[at + 1] == 4) stream += Number(frame.payload.substr(at + 2)) - 65535;
    }
  }
  size_t room() const {
    return static_cast<size_t>(std::max<int64_t>(0, std::min(connection, stream)));
  }
};

// Sends echo messages on stream 1 until the server takes no more.
size_t SendAllItTakes(RawPeer& peer) {
  Windows windows;
  windows.Read(peer.UntilPong(), 1);
  const std::string message = EchoBody(std::string(16000, 'x'));
  size_t sent = 0, at = 0;
  while (windows.room() > 0 && sent < (64 << 20)) {
    const std::string part = message.substr(at, windows.room());
    at = (at + part.size()) % message.size();
    peer.Write(kDataFrame, 0, 1, part);
    sent += part.size();
    windows.connection -= static_cast<int64_t>(part.size());
    windows.stream -= static_cast<int64_t>(part.size());
    if (windows.room() == 0) windows.Read(peer.UntilPong(), 1);
  }
  return sent;
}

TEST_CASE("Flow: a caller that reads no answers is stopped, and others on its connection are not",
          "[net][flow]") {
  Http2Options options;
  options.limits.pings = {100000, 0};
  const auto server = EchoServer(options);
  RawPeer peer(*server);
  // No window for answers.
  peer.Write(kSettingsFrame, 0, 0, std::string("\0\4", 2) + BigEndian32(0));
  peer.Write(kHeadersFrame, kEndHeaders, 1, EchoHeaders());
  const size_t sent = SendAllItTakes(peer);
  const size_t most = options.limits.stream_window + GrpcService::Options().waiting_bytes;
  CHECK(sent >= options.limits.stream_window);
  CHECK(sent <= most + (32 << 10));

  peer.Call(3, "meanwhile");
  peer.Write(kWindowFrame, 0, 3, BigEndian32(1000));
  CHECK(peer.Echo(3) == "meanwhile");

  // It reads at last, and gets all of it.
  peer.Write(kWindowFrame, 0, 1, BigEndian32(1 << 30));
  peer.Write(kWindowFrame, 0, 0, BigEndian32(1 << 30));
  size_t got = 0;
  while (got + 16005 <= sent) {
    const auto frame = peer.NextOf(kDataFrame);
    REQUIRE(frame);
    got += frame->payload.size();
  }
}

TEST_CASE("Flow: an answer nobody takes is given up, its connection lives", "[net][flow]") {
  Http2Options options;
  options.times.unread = absl::Milliseconds(100);
  const auto server = EchoServer(options);
  RawPeer peer(*server);
  peer.Write(kSettingsFrame, 0, 0, std::string("\0\4", 2) + BigEndian32(0));
  peer.Call(1, "unread");
  CHECK(peer.ResetCode(1) == 8);
  peer.Call(3, "read");
  peer.Write(kWindowFrame, 0, 3, BigEndian32(1000));
  CHECK(peer.Echo(3) == "read");
}

// Takes bytes as they come and gives none back until it is asked to.
struct Hoarder : GrpcServerHandler {
  void OnBytes(GrpcServerCall&, const Slice& bytes) override { kept.push_back(bytes); }
  void OnHalfClose(GrpcServerCall& call) override {
    size_t all = 0;
    for (const Slice& slice : kept) all += slice.size();
    call.Send(std::to_string(all));
    call.Finish({});
  }
  void OnDone(GrpcServerCall&, bool) override { kept.clear(); }
  std::vector<Slice> kept;
};

std::unique_ptr<Server> HoardingServer(Hoarder& hoarder, const Http2Options& http2) {
  ServerOptions options;
  options.http2 = http2;
  auto server = Server::Start(std::move(options), [&](Loop& loop) {
    auto service = std::make_unique<GrpcService>(loop);
    service->AddOthers([&](GrpcServerCall& call) {
      call.CutThrough();
      return &hoarder;
    });
    return service;
  });
  REQUIRE(server.ok());
  return *std::move(server);
}

TEST_CASE("Flow: cut-through takes no more than a window of what is not given back",
          "[net][flow]") {
  Hoarder hoarder;
  const auto server = HoardingServer(hoarder, {});
  RawPeer peer(*server);
  peer.Write(kHeadersFrame, kEndHeaders, 1, EchoHeaders());
  const size_t sent = SendAllItTakes(peer);
  CHECK(sent == Http2Limits().stream_window);
  peer.Write(kDataFrame, kEndStream, 1, "");
}

TEST_CASE("Flow: who sends over its stream's window loses that stream alone", "[net][flow]") {
  Hoarder hoarder;
  const auto server = HoardingServer(hoarder, {});
  RawPeer peer(*server);
  peer.Write(kHeadersFrame, kEndHeaders, 1, EchoHeaders());
  SendAllItTakes(peer);
  peer.Write(kDataFrame, 0, 1, "x");
  CHECK(peer.ResetCode(1) == 3);
  peer.Call(3, "four");
  CHECK(peer.Echo(3) == "9");
}

TEST_CASE("Flow: who sends over the connection's window loses the connection", "[net][flow]") {
  Hoarder hoarder;
  Http2Options options;
  options.limits.connection_window = 80000;
  const auto server = HoardingServer(hoarder, options);
  RawPeer peer(*server);
  peer.Write(kHeadersFrame, kEndHeaders, 1, EchoHeaders());
  CHECK(SendAllItTakes(peer) == 80000);
  peer.Write(kDataFrame, 0, 1, "x");
  CHECK(peer.GoawayCode() == 3);
}

TEST_CASE("Flow: another initial window counts for streams that are open, below zero too",
          "[net][flow]") {
  const auto server = EchoServer();
  RawPeer peer(*server);
  const auto settings = [&](uint32_t window) {
    peer.Write(kSettingsFrame, 0, 0, std::string("\0\4", 2) + BigEndian32(window));
  };
  const auto arrived = [&] {
    size_t bytes = 0;
    for (int pongs = 0; pongs < 2; ++pongs) {  // DATA goes behind the first
      for (const Frame& frame : peer.UntilPong()) {
        if (frame.type == kDataFrame) bytes += frame.payload.size();
      }
    }
    return bytes;
  };
  settings(100);
  peer.Call(1, std::string(300, 'x'));
  REQUIRE(peer.NextOf(kDataFrame)->payload.size() == 100);
  settings(160);
  CHECK(arrived() == 60);
  settings(20);  // 140 below zero
  peer.Write(kWindowFrame, 0, 1, BigEndian32(140));
  CHECK(arrived() == 0);
  peer.Write(kWindowFrame, 0, 1, BigEndian32(5));
  CHECK(arrived() == 5);
  settings(1000);
  CHECK(arrived() == 305 - 165);
}

}  // namespace
}  // namespace torchfleet::net
