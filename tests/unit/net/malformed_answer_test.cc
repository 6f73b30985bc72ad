// What RFC 9113 says a client MUST make of a server that breaks its rules.

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "tests/unit/net/caller.h"
#include "tests/unit/net/raw_peer.h"

namespace torchfleet::net {
namespace {

constexpr uint32_t kProtocol = 1, kFlowControl = 3, kFrameSize = 6, kCompression = 9;

std::string Answer(const std::string& block, uint8_t flags = 0) {
  return FrameBytes(kHeadersFrame, static_cast<uint8_t>(flags | kEndHeaders), 1, block);
}

std::string Answer200() {
  return Field(":status", "200") + Field("content-type", "application/grpc");
}

std::string Setting(char id, uint32_t value) {
  return FrameBytes(kSettingsFrame, 0, 0, std::string(1, '\0') + id + BigEndian32(value));
}

// Whose request is whole.
uint32_t NextRequest(RawPeer& peer) {
  while (const auto frame = peer.NextOf(kDataFrame)) {
    if (frame->ends()) return frame->stream;
  }
  return 0;
}

void Respond(RawPeer& peer, uint32_t stream) {
  peer.Write(kHeadersFrame, kEndHeaders, stream, Answer200());
  peer.Write(kDataFrame, 0, stream, EchoBody("answer"));
  peer.Write(kHeadersFrame, kEndHeaders | kEndStream, stream, Field("grpc-status", "0"));
}

struct Row {
  const char* what;
  std::string bytes;
  uint32_t code;
};

TEST_CASE("Client: a server that breaks the connection's rules loses it, calls go elsewhere",
          "[net][client]") {
  const Row rows[] = {
      {"PUSH_PROMISE, which we refused (8.4)",
       FrameBytes(kPushFrame, kEndHeaders, 1, BigEndian32(2) + EchoHeaders()), kProtocol},
      {"ENABLE_PUSH of 1 (6.5.2)", Setting(2, 1), kProtocol},
      {"HEADERS on an even stream (5.1.1)", FrameBytes(kHeadersFrame, kEndHeaders, 2, Answer200()),
       kProtocol},
      {"HEADERS on a stream that we never opened (5.1)",
       FrameBytes(kHeadersFrame, kEndHeaders, 5, Answer200()), kProtocol},
      {"DATA on a stream that we never opened (5.1)", FrameBytes(kDataFrame, 0, 5, "x"), kProtocol},
      {"DATA before the headers (8.1)", FrameBytes(kDataFrame, 0, 1, "x"), kProtocol},
      {"DATA on stream 0 (6.1)", FrameBytes(kDataFrame, 0, 0, "x"), kProtocol},
      {"RST_STREAM on a stream that we never opened (6.4)",
       FrameBytes(kResetFrame, 0, 5, BigEndian32(8)), kProtocol},
      {"WINDOW_UPDATE on a stream that we never opened (5.1)",
       FrameBytes(kWindowFrame, 0, 5, BigEndian32(1)), kProtocol},
      {"CONTINUATION of nothing (6.10)", FrameBytes(kContinuationFrame, kEndHeaders, 1, ""),
       kProtocol},
      {"a header block interrupted (4.3)",
       FrameBytes(kHeadersFrame, 0, 1, Answer200()) + FrameBytes(kDataFrame, 0, 1, "x"), kProtocol},
      {"SETTINGS of 5 bytes (6.5)", FrameBytes(kSettingsFrame, 0, 0, "abcde"), kFrameSize},
      {"INITIAL_WINDOW_SIZE over 2^31-1 (6.5.2)", Setting(4, 0x80000000), kFlowControl},
      {"PING of 7 bytes (6.7)", FrameBytes(kPingFrame, 0, 0, "1234567"), kFrameSize},
      {"GOAWAY on a stream (6.8)", FrameBytes(kGoawayFrame, 0, 1, std::string(8, '\0')), kProtocol},
      {"a connection window over 2^31-1 (6.9.1)",
       FrameBytes(kWindowFrame, 0, 0, BigEndian32(0x7fffffff)), kFlowControl},
      {"a frame over the size we said (4.2)", FrameBytes(kDataFrame, 0, 1, std::string(65537, 'x')),
       kFrameSize},
      {"headers that HPACK cannot read (4.3)", Answer("\xff\xff"), kCompression},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    RawListener listener;
    Caller caller(listener.address());
    const auto call = caller.Begin("x");
    const auto peer = listener.Accept();
    REQUIRE(NextRequest(*peer) == 1);
    peer->Write(row.bytes);
    CHECK(peer->GoawayCode() == row.code);
    CHECK_FALSE(call->Outcome().status.ok());
    const auto next = caller.Begin("next");
    const auto other = listener.Accept();
    REQUIRE(NextRequest(*other) == 1);
    Respond(*other, 1);
    CHECK(next->Outcome().status.ok());
  }
}

TEST_CASE("Client: a malformed answer ends its call alone", "[net][client]") {
  const Row rows[] = {
      {"no :status (8.3.2)", Answer(Field("content-type", "application/grpc")), kProtocol},
      {":status twice (8.3)", Answer(Field(":status", "200") + Answer200()), kProtocol},
      {"a :status that is none (8.3.2)", Answer(Field(":status", "2x0")), kProtocol},
      {"a :status behind another field (8.3)", Answer(Field("x", "1") + Answer200()), kProtocol},
      {"a request's pseudo-header (8.3)", Answer(Answer200() + Field(":path", "/")), kProtocol},
      {"101, which HTTP/2 has not (8.6)", Answer(Field(":status", "101")), kProtocol},
      {"an interim answer that ends the stream (8.1)", Answer(Field(":status", "100"), kEndStream),
       kProtocol},
      {"an upper-case name (8.2.1)", Answer(Answer200() + Field("X-Upper", "1")), kProtocol},
      {"a connection-specific field (8.2.2)", Answer(Answer200() + Field("connection", "close")),
       kProtocol},
      {"a line's end in a value (8.2.1)", Answer(Answer200() + Field("x", "a\nb")), kProtocol},
      {"a pseudo-header among trailers (8.1)",
       Answer(Answer200()) + Answer(Field(":status", "200"), kEndStream), kProtocol},
      {"trailers that do not end the stream (8.1)",
       Answer(Answer200()) + Answer(Field("grpc-status", "0")), kProtocol},
      {"content-length that is not the body's (8.1.1)",
       Answer(Answer200() + Field("content-length", "3")) +
           FrameBytes(kDataFrame, kEndStream, 1, EchoBody("x")),
       kProtocol},
      {"a stream's window over 2^31-1 (6.9.1)",
       FrameBytes(kWindowFrame, 0, 1, BigEndian32(0x7fffffff)), kFlowControl},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    RawListener listener;
    Caller caller(listener.address());
    const auto call = caller.Begin("x");
    const auto peer = listener.Accept();
    REQUIRE(NextRequest(*peer) == 1);
    peer->Write(row.bytes);
    CHECK(peer->ResetCode(1) == row.code);
    CHECK_FALSE(call->Outcome().status.ok());
    const auto next = caller.Begin("next");
    REQUIRE(NextRequest(*peer) == 3);
    Respond(*peer, 3);
    CHECK(next->Outcome().status.ok());
  }
}

TEST_CASE("Client: what is odd and allowed changes nothing", "[net][client]") {
  const Row rows[] = {
      {"a frame of an unknown type (4.1)", FrameBytes(0xee, 0xff, 0, "whatever"), 0},
      {"a setting nobody knows (6.5.2)", Setting(0x7f, 1), 0},
      {"ENABLE_PUSH of 0 (6.5.2)", Setting(2, 0), 0},
      {"PRIORITY (5.3.2)", FrameBytes(kPriorityFrame, 0, 9, std::string(5, '\0')), 0},
      {"interim answers (8.1)",
       Answer(Field(":status", "100")) + Answer(Field(":status", "103") + Field("link", "x")), 0},
      {"a table of 0 for HPACK (6.5.2)", Setting(1, 0), 0},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    RawListener listener;
    Caller caller(listener.address());
    const auto call = caller.Begin("x");
    const auto peer = listener.Accept();
    REQUIRE(NextRequest(*peer) == 1);
    peer->Write(row.bytes);
    Respond(*peer, 1);
    CHECK(call->Outcome().status.ok());
    CHECK(call->messages == std::vector<std::string>{"answer"});
  }
}

TEST_CASE("Client: what comes on a call that has ended does no harm", "[net][client]") {
  RawListener listener;
  Caller caller(listener.address());
  const auto call = caller.Begin("x");
  const auto peer = listener.Accept();
  REQUIRE(NextRequest(*peer) == 1);
  Respond(*peer, 1);
  CHECK(call->Outcome().status.ok());
  peer->Write(kWindowFrame, 0, 1, BigEndian32(1));
  peer->Write(kResetFrame, 0, 1, BigEndian32(8));
  const auto next = caller.Begin("next");
  REQUIRE(NextRequest(*peer) == 3);
  Respond(*peer, 3);
  CHECK(next->Outcome().status.ok());
}

}  // namespace
}  // namespace torchfleet::net
