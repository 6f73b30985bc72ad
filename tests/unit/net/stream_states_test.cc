// What RFC 9113 says of frames in each state of a stream (section 5.1), and of
// those that change what others may send.

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "tests/unit/net/raw_peer.h"

namespace torchfleet::net {
namespace {

constexpr uint32_t kCancel = 8, kStreamClosed = 5;

std::string Setting(char id, uint32_t value) {
  return FrameBytes(kSettingsFrame, 0, 0, std::string(1, '\0') + id + BigEndian32(value));
}

bool NamesStream(const std::vector<Frame>& frames, uint32_t stream) {
  return std::any_of(frames.begin(), frames.end(),
                     [=](const Frame& frame) { return frame.stream == stream; });
}

// The code of what refuses a frame: of its stream or of the connection (5.4.2).
std::optional<uint32_t> Refusal(RawPeer& peer) {
  while (const auto frame = peer.Next()) {
    const size_t at = frame->type == kGoawayFrame ? 4 : 0;
    if (frame->type != kResetFrame && frame->type != kGoawayFrame) continue;
    return static_cast<uint8_t>(frame->payload[at + 3]);
  }
  return std::nullopt;
}

TEST_CASE("Streams: after its end a peer sends no more on one", "[net][http2]") {
  const std::string more[] = {
      FrameBytes(kDataFrame, 0, 1, "more"),
      FrameBytes(kDataFrame, kEndStream, 1, ""),
      FrameBytes(kHeadersFrame, kEndHeaders | kEndStream, 1, Field("x", "1")),
      FrameBytes(kHeadersFrame, kEndHeaders, 1, EchoHeaders()),
  };
  for (const std::string& frame : more) {
    const auto server = EchoServer();
    RawPeer peer(*server);
    peer.Write(Setting(4, 0));  // the answer waits, so the stream is half-closed
    peer.Call(1, "whole");
    peer.Write(frame);
    CHECK(Refusal(peer) == kStreamClosed);
    RawPeer other(*server);
    other.Call(1, "still here");
    CHECK(other.Echo(1) == "still here");
  }
}

TEST_CASE("Streams: after its end a peer may still steer one", "[net][http2]") {
  const auto server = EchoServer();
  RawPeer peer(*server);
  peer.Write(Setting(4, 0));
  peer.Call(1, "whole");
  peer.Write(kPriorityFrame, 0, 1, std::string(5, '\0'));
  peer.Write(kWindowFrame, 0, 1, BigEndian32(1000));
  CHECK(peer.Echo(1) == "whole");
}

TEST_CASE("Streams: what is on its way to one that is closed does no harm", "[net][http2]") {
  const std::string late[] = {
      FrameBytes(kWindowFrame, 0, 1, BigEndian32(1)),
      FrameBytes(kResetFrame, 0, 1, BigEndian32(kCancel)),
      FrameBytes(kPriorityFrame, 0, 1, std::string(5, '\0')),
  };
  for (const std::string& frame : late) {
    const auto server = EchoServer();
    RawPeer peer(*server);
    peer.Call(1, "first");
    REQUIRE(peer.Echo(1) == "first");
    peer.Write(frame);
    peer.Call(3, "second");
    CHECK(peer.Echo(3) == "second");
  }
}

TEST_CASE("Streams: what was under way when we ended one does no harm", "[net][http2]") {
  const auto server = EchoServer();
  RawPeer peer(*server);
  // The first message cannot be read, so the call ends before its request.
  peer.Write(kHeadersFrame, kEndHeaders, 1, EchoHeaders());
  peer.Write(kDataFrame, 0, 1, std::string("\1\0\0\0\0", 5));
  REQUIRE(peer.ResetCode(1));
  peer.Write(kDataFrame, 0, 1, "late");
  peer.Write(kHeadersFrame, kEndHeaders | kEndStream, 1, Field("x", "late"));
  peer.Call(3, "second");
  CHECK(peer.Echo(3) == "second");
}

TEST_CASE("Streams: nothing is sent on one that the peer has reset", "[net][http2]") {
  const auto server = EchoServer();
  RawPeer peer(*server);
  peer.Write(Setting(4, 0));
  peer.Call(1, "unread");
  REQUIRE(peer.NextOf(kHeadersFrame));  // its answer has begun
  peer.Write(kResetFrame, 0, 1, BigEndian32(kCancel));
  peer.Write(Setting(4, 1000));
  for (int pongs = 0; pongs < 2; ++pongs) {  // DATA goes behind the first
    CHECK_FALSE(NamesStream(peer.UntilPong(), 1));
  }
  peer.Call(3, "second");
  CHECK(peer.Echo(3) == "second");
}

TEST_CASE("Streams: a peer that says goodbye gets what it asked for", "[net][http2]") {
  const auto server = EchoServer();
  RawPeer peer(*server);
  peer.Write(kHeadersFrame, kEndHeaders, 1, EchoHeaders());
  peer.Write(kGoawayFrame, 0, 0, std::string(8, '\0') + "for debugging");
  peer.Write(kDataFrame, kEndStream, 1, EchoBody("begun before"));
  CHECK(peer.Echo(1) == "begun before");
}

TEST_CASE("Streams: a GOAWAY names the last stream that was looked at", "[net][http2]") {
  const auto server = EchoServer();
  RawPeer peer(*server);
  peer.Call(1, "first");
  peer.Call(3, "second");
  REQUIRE(peer.Echo(3) == "second");
  peer.Write(kPingFrame, 0, 0, "short");
  const auto goodbye = peer.NextOf(kGoawayFrame);
  REQUIRE(goodbye);
  CHECK(goodbye->payload.substr(0, 4) == BigEndian32(3));
}

TEST_CASE("Connection: the first frame is SETTINGS, or the connection ends", "[net][http2]") {
  const auto server = EchoServer();
  RawPeer peer(*server, /*hello=*/false);
  peer.Write(kPreface);
  peer.Write(kPingFrame, 0, 0, "12345678");
  CHECK(peer.GoawayCode() == 1);
}

TEST_CASE("Connection: a preface cut anywhere is one", "[net][http2]") {
  for (size_t cut = 1; cut < kPreface.size(); ++cut) {
    CAPTURE(cut);
    const auto server = EchoServer();
    RawPeer peer(*server, /*hello=*/false);
    peer.Write(kPreface.substr(0, cut));
    peer.Write(kPreface.substr(cut));
    peer.Write(kSettingsFrame, 0, 0, "");
    peer.Call(1, "hello");
    REQUIRE(peer.Echo(1) == "hello");
  }
}

TEST_CASE("Connection: every SETTINGS is acknowledged, no acknowledgement is", "[net][http2]") {
  const auto server = EchoServer();
  RawPeer peer(*server);
  peer.UntilPong();
  for (int i = 0; i < 3; ++i) peer.Write(Setting(4, 1000));
  const auto frames = peer.UntilPong();
  CHECK(std::count_if(frames.begin(), frames.end(), [](const Frame& frame) {
          return frame.type == kSettingsFrame && frame.flags == kAck && frame.payload.empty();
        }) == 3);
}

TEST_CASE("Connection: frames are as large as the peer takes them, and no larger", "[net][http2]") {
  const auto server = EchoServer();
  RawPeer peer(*server);
  const auto largest = [&](uint32_t stream) {
    peer.Call(stream, std::string(15000, 'x') + std::string(15000, 'y'));
    size_t most = 0;
    while (const auto frame = peer.Next()) {
      if (frame->type == kDataFrame) most = std::max(most, frame->payload.size());
      if (frame->type == kHeadersFrame && frame->ends()) break;
    }
    return most;
  };
  peer.Write(Setting(4, 1 << 20) + FrameBytes(kWindowFrame, 0, 0, BigEndian32(1 << 20)));
  CHECK(largest(1) <= 16384);
  peer.Write(Setting(5, 20000));
  CHECK(largest(3) <= 20000);
}

}  // namespace
}  // namespace torchfleet::net
