// What RFC 9113 says a server MUST make of frames that break its rules, and of
// odd ones that do not.

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <thread>

#include "tests/unit/net/raw_peer.h"

namespace torchfleet::net {
namespace {

constexpr uint32_t kProtocol = 1, kFlowControl = 3, kFrameSize = 6, kCompression = 9;

std::string Setting(char id, uint32_t value) {
  return FrameBytes(kSettingsFrame, 0, 0, std::string(1, '\0') + id + BigEndian32(value));
}

std::string Headers1() { return FrameBytes(kHeadersFrame, kEndHeaders, 1, EchoHeaders()); }

TEST_CASE("HTTP/2: what breaks the connection's rules ends it with the right code",
          "[net][http2]") {
  struct Row {
    const char* what;
    std::string bytes;
    uint32_t code;
  };
  const Row rows[] = {
      {"DATA on stream 0 (6.1)", FrameBytes(kDataFrame, 0, 0, "x"), kProtocol},
      {"DATA on an idle stream (5.1)", FrameBytes(kDataFrame, 0, 1, "x"), kProtocol},
      {"padding longer than the frame (6.1)", Headers1() + FrameBytes(kDataFrame, 8, 1, "\x05xx"),
       kProtocol},
      {"HEADERS on stream 0 (6.2)", FrameBytes(kHeadersFrame, kEndHeaders, 0, EchoHeaders()),
       kProtocol},
      {"HEADERS on an even stream (5.1.1)",
       FrameBytes(kHeadersFrame, kEndHeaders, 2, EchoHeaders()), kProtocol},
      {"a header block interrupted (4.3)",
       FrameBytes(kHeadersFrame, 0, 1, EchoHeaders()) + FrameBytes(kPingFrame, 0, 0, "12345678"),
       kProtocol},
      {"a header block continued on another stream (6.10)",
       FrameBytes(kHeadersFrame, 0, 1, EchoHeaders()) +
           FrameBytes(kContinuationFrame, kEndHeaders, 3, ""),
       kProtocol},
      {"CONTINUATION of nothing (6.10)", FrameBytes(kContinuationFrame, kEndHeaders, 1, ""),
       kProtocol},
      {"headers that HPACK cannot read (4.3)",
       FrameBytes(kHeadersFrame, kEndHeaders, 1, "\xff\xff"), kCompression},
      {"RST_STREAM on stream 0 (6.4)", FrameBytes(kResetFrame, 0, 0, BigEndian32(8)), kProtocol},
      {"RST_STREAM on an idle stream (6.4)", FrameBytes(kResetFrame, 0, 1, BigEndian32(8)),
       kProtocol},
      {"RST_STREAM of 3 bytes (6.4)", Headers1() + FrameBytes(kResetFrame, 0, 1, "abc"),
       kFrameSize},
      {"SETTINGS on a stream (6.5)", FrameBytes(kSettingsFrame, 0, 1, ""), kProtocol},
      {"SETTINGS of 5 bytes (6.5)", FrameBytes(kSettingsFrame, 0, 0, "abcde"), kFrameSize},
      {"SETTINGS ACK with a payload (6.5)",
       FrameBytes(kSettingsFrame, kAck, 0, std::string(6, '\0')), kFrameSize},
      {"ENABLE_PUSH of 2 (6.5.2)", Setting(2, 2), kProtocol},
      {"INITIAL_WINDOW_SIZE over 2^31-1 (6.5.2)", Setting(4, 0x80000000), kFlowControl},
      {"MAX_FRAME_SIZE under 2^14 (6.5.2)", Setting(5, 16383), kProtocol},
      {"PUSH_PROMISE from a client (8.4)",
       Headers1() + FrameBytes(kPushFrame, kEndHeaders, 1, BigEndian32(2)), kProtocol},
      {"PING on a stream (6.7)", FrameBytes(kPingFrame, 0, 1, "12345678"), kProtocol},
      {"PING of 7 bytes (6.7)", FrameBytes(kPingFrame, 0, 0, "1234567"), kFrameSize},
      {"GOAWAY on a stream (6.8)", FrameBytes(kGoawayFrame, 0, 1, std::string(8, '\0')), kProtocol},
      {"WINDOW_UPDATE of 0 for the connection (6.9)",
       FrameBytes(kWindowFrame, 0, 0, BigEndian32(0)), kProtocol},
      // A stream's error, which may end the connection too (5.4.2).
      {"WINDOW_UPDATE of 0 for a stream (6.9)",
       Headers1() + FrameBytes(kWindowFrame, 0, 1, BigEndian32(0)), kProtocol},
      {"WINDOW_UPDATE of 3 bytes (6.9)", FrameBytes(kWindowFrame, 0, 0, "abc"), kFrameSize},
      {"WINDOW_UPDATE on an idle stream (5.1)", FrameBytes(kWindowFrame, 0, 1, BigEndian32(1)),
       kProtocol},
      {"a connection window over 2^31-1 (6.9.1)",
       FrameBytes(kWindowFrame, 0, 0, BigEndian32(0x7fffffff)), kFlowControl},
      {"a frame over the size we said (4.2)", FrameBytes(kPingFrame, 0, 0, std::string(65537, 'x')),
       kFrameSize},
      {"padding as long as the frame (6.1)", Headers1() + FrameBytes(kDataFrame, 8, 1, "\x03xx"),
       kProtocol},
      // nghttp2's code, where the RFC has FRAME_SIZE_ERROR.
      {"DATA without the length of its padding (4.2)",
       Headers1() + FrameBytes(kDataFrame, 8, 1, ""), kProtocol},
      {"HEADERS without the length of their padding (4.2)",
       FrameBytes(kHeadersFrame, kEndHeaders | 8, 1, ""), kProtocol},
      {"HEADERS padded beyond the frame (6.2)",
       FrameBytes(kHeadersFrame, kEndHeaders | 8, 1, "\x7f" + EchoHeaders().substr(0, 9)),
       kProtocol},
      {"HEADERS too short for their priority (4.2)",
       FrameBytes(kHeadersFrame, kEndHeaders | 0x20, 1, "abc"), kFrameSize},
      {"HEADERS on a stream lower than one before (5.1.1)",
       FrameBytes(kHeadersFrame, kEndHeaders, 5, EchoHeaders()) +
           FrameBytes(kHeadersFrame, kEndHeaders, 3, EchoHeaders()),
       kProtocol},
      {"a header block interrupted by another stream's (4.3)",
       FrameBytes(kHeadersFrame, 0, 1, EchoHeaders()) +
           FrameBytes(kHeadersFrame, kEndHeaders, 3, EchoHeaders()),
       kProtocol},
      {"a header block interrupted by its own DATA (6.2)",
       FrameBytes(kHeadersFrame, 0, 1, EchoHeaders()) + FrameBytes(kDataFrame, 0, 1, "x"),
       kProtocol},
      {"a header block interrupted by an unknown frame (6.10)",
       FrameBytes(kHeadersFrame, 0, 1, EchoHeaders()) + FrameBytes(0xee, 0, 1, "x"), kProtocol},
      {"CONTINUATION behind a whole block (6.10)",
       Headers1() + FrameBytes(kContinuationFrame, kEndHeaders, 1, ""), kProtocol},
      {"CONTINUATION on stream 0 (6.10)", FrameBytes(kContinuationFrame, kEndHeaders, 0, ""),
       kProtocol},
      {"RST_STREAM of 5 bytes (6.4)", Headers1() + FrameBytes(kResetFrame, 0, 1, "abcde"),
       kFrameSize},
      {"SETTINGS of 7 bytes (6.5)", FrameBytes(kSettingsFrame, 0, 0, "abcdefg"), kFrameSize},
      {"MAX_FRAME_SIZE over 2^24-1 (6.5.2)", Setting(5, 1 << 24), kProtocol},
      {"PING of 9 bytes (6.7)", FrameBytes(kPingFrame, 0, 0, "123456789"), kFrameSize},
      {"GOAWAY of 7 bytes (6.8)", FrameBytes(kGoawayFrame, 0, 0, std::string(7, '\0')), kFrameSize},
      {"WINDOW_UPDATE of 5 bytes for a stream (6.9)",
       Headers1() + FrameBytes(kWindowFrame, 0, 1, "abcde"), kFrameSize},
      {"PUSH_PROMISE on stream 0 (6.6)", FrameBytes(kPushFrame, kEndHeaders, 0, BigEndian32(2)),
       kProtocol},
      {"DATA over the size we said (4.2)",
       Headers1() + FrameBytes(kDataFrame, 0, 1, std::string(65537, 'x')), kFrameSize},
      {"HEADERS over the size we said (4.2)",
       FrameBytes(kHeadersFrame, kEndHeaders, 1, std::string(65537, 'x')), kFrameSize},
      {"PRIORITY of 4 bytes (6.3)", FrameBytes(kPriorityFrame, 0, 1, "1234"), kFrameSize},
      {"PRIORITY on stream 0 (6.3)", FrameBytes(kPriorityFrame, 0, 0, "12345"), kProtocol},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const auto server = EchoServer();
    RawPeer peer(*server);
    peer.Write(row.bytes);
    const auto code = peer.GoawayCode();
    REQUIRE(code);
    CHECK(*code == row.code);
    // Nobody else notices.
    RawPeer other(*server);
    other.Call(1, "still here");
    CHECK(other.Echo(1) == "still here");
  }
}

TEST_CASE("HTTP/2: what is odd and allowed changes nothing", "[net][http2]") {
  struct Row {
    const char* what;
    std::string before;
  };
  const Row rows[] = {
      {"a frame of an unknown type (4.1)", FrameBytes(0xee, 0xff, 0, "whatever")},
      {"a frame of an unknown type on an idle stream (5.1)", FrameBytes(0xee, 0xff, 1, "whatever")},
      {"flags that a frame does not have (4.1)", FrameBytes(kPingFrame, 0xfe, 0, "12345678")},
      {"the reserved bit of a stream's number (4.1)",
       FrameBytes(kPingFrame, 0, 0x80000000, "12345678")},
      {"the reserved bit of an increment (6.9)",
       FrameBytes(kWindowFrame, 0, 0, BigEndian32(0x80000001))},
      {"MAX_FRAME_SIZE of 2^24-1 (6.5.2)", Setting(5, (1 << 24) - 1)},
      {"a table of 0 for HPACK (6.5.2)", Setting(1, 0)},
      {"a table of 4 GiB for HPACK (6.5.2)", Setting(1, 0xffffffff)},
      {"a setting twice, the last one counts (6.5.3)",
       FrameBytes(
           kSettingsFrame, 0, 0,
           std::string("\0\4", 2) + BigEndian32(0) + std::string("\0\4", 2) + BigEndian32(1000))},
      {"a setting nobody knows (6.5.2)",
       FrameBytes(kSettingsFrame, 0, 0, std::string("\x7f\x7f", 2) + BigEndian32(1))},
      {"PRIORITY (5.3.2)", FrameBytes(kPriorityFrame, 0, 9, std::string(5, '\0'))},
      {"PING (6.7)", FrameBytes(kPingFrame, 0, 0, "12345678")},
      {"a PING nobody asked for, answered (6.7)", FrameBytes(kPingFrame, kAck, 0, "12345678")},
      {"WINDOW_UPDATE (6.9)", FrameBytes(kWindowFrame, 0, 0, BigEndian32(1000))},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const auto server = EchoServer();
    RawPeer peer(*server);
    peer.Write(row.before);
    peer.Call(1, "hello");
    CHECK(peer.Echo(1) == "hello");
  }
}

TEST_CASE("HTTP/2: a PING is answered with its own bytes", "[net][http2]") {
  const auto server = EchoServer();
  RawPeer peer(*server);
  peer.Write(kPingFrame, 0, 0, "12345678");
  const auto pong = peer.NextOf(kPingFrame);
  REQUIRE(pong);
  CHECK(pong->flags == kAck);
  CHECK(pong->payload == "12345678");
}

TEST_CASE("HTTP/2: headers in CONTINUATIONs, a body in many frames, padding", "[net][http2]") {
  const auto server = EchoServer();
  RawPeer peer(*server);
  const std::string block = EchoHeaders();
  const size_t part = block.size() / 5 + 1;
  peer.Write(kHeadersFrame, 0, 1, block.substr(0, part));
  for (size_t i = part; i < block.size(); i += part) {
    peer.Write(kContinuationFrame, i + part >= block.size() ? kEndHeaders : 0, 1,
               block.substr(i, part));
  }
  for (const char c : EchoBody("drop by drop")) {
    peer.Write(kDataFrame, 8, 1, std::string("\3", 1) + c + std::string(3, '\0'));  // padded
  }
  peer.Write(kDataFrame, kEndStream, 1, "");
  CHECK(peer.Echo(1) == "drop by drop");
}

TEST_CASE("HTTP/2: the peer's windows are kept, its stream's and the connection's",
          "[net][http2][flow]") {
  const auto server = EchoServer();
  RawPeer peer(*server);
  // Ten bytes for each stream.
  peer.Write(kSettingsFrame, 0, 0, std::string("\0\4", 2) + BigEndian32(10));
  peer.Call(1, std::string(100, 'x'));
  std::string body;
  for (int updates = 0; body.size() < 105; ++updates) {
    const auto frame = peer.NextOf(kDataFrame);
    REQUIRE(frame);
    CHECK(frame->payload.size() <= 10);
    body += frame->payload;
    peer.Write(kWindowFrame, 0, 1, BigEndian32(10));
    REQUIRE(updates < 100);
  }
  CHECK(body.substr(5) == std::string(100, 'x'));
  CHECK(peer.NextOf(kHeadersFrame)->flags == (kEndHeaders | kEndStream));
}

TEST_CASE("HTTP/2: what is no HTTP/2 ends the connection", "[net][http2]") {
  const auto server = EchoServer();
  RawPeer peer(*server, /*hello=*/false);
  peer.Write("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
  CHECK(peer.Ends());
}

TEST_CASE("HTTP/2: streams over a limit that the peer has not read yet may be tried again",
          "[net][http2]") {
  Http2Options options;
  options.limits.streams = 2;
  const auto server = EchoServer(options);
  RawPeer peer(*server);
  for (const uint32_t stream : {1, 3, 5}) {
    peer.Write(kHeadersFrame, kEndHeaders, stream, EchoHeaders());
  }
  CHECK(peer.ResetCode(5) == 7);  // REFUSED_STREAM
  peer.Write(kDataFrame, kEndStream, 1, EchoBody("one"));
  CHECK(peer.Echo(1) == "one");
  peer.Call(7, "now");
  CHECK(peer.Echo(7) == "now");
}

TEST_CASE("HTTP/2: a peer that goes over a limit it has read loses its connection",
          "[net][http2]") {
  Http2Options options;
  options.limits.streams = 2;
  const auto server = EchoServer(options);
  RawPeer peer(*server);
  REQUIRE(peer.NextOf(kSettingsFrame));  // acknowledged
  for (const uint32_t stream : {1, 3, 5}) {
    peer.Write(kHeadersFrame, kEndHeaders, stream, EchoHeaders());
  }
  CHECK(peer.GoawayCode() == kProtocol);
}

TEST_CASE("HTTP/2: draining serves what was begun, and what was on its way", "[net][http2]") {
  const auto server = EchoServer();
  RawPeer peer(*server);
  peer.Write(kHeadersFrame, kEndHeaders, 1, EchoHeaders());
  peer.Write(kPingFrame, 0, 0, "12345678");
  REQUIRE(peer.NextOf(kPingFrame));
  std::jthread drain([&] { server->Drain(absl::Seconds(20)); });
  const auto notice = peer.NextOf(kGoawayFrame);
  REQUIRE(notice);
  CHECK(notice->payload.substr(0, 4) == BigEndian32(0x7fffffff));
  peer.Call(3, "on its way");
  CHECK(peer.Echo(3) == "on its way");
  const auto goodbye = peer.NextOf(kGoawayFrame);
  REQUIRE(goodbye);
  CHECK(goodbye->payload.substr(0, 4) == BigEndian32(3));
  peer.Write(kDataFrame, kEndStream, 1, EchoBody("begun before"));
  CHECK(peer.Echo(1) == "begun before");
  CHECK(peer.Ends());
}

}  // namespace
}  // namespace torchfleet::net
