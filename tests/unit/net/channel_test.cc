// What a server may do to a caller, frame by frame.

#include "net/client/channel.h"

#include <catch2/catch_test_macros.hpp>
#include <thread>

#include "tests/unit/net/caller.h"
#include "tests/unit/net/raw_peer.h"

namespace torchfleet::net {
namespace {

std::string Answer200() {
  return Field(":status", "200") + Field("content-type", "application/grpc");
}

// The number of the next stream whose request is whole.
uint32_t NextRequest(RawPeer& peer) {
  while (const auto frame = peer.NextOf(kDataFrame)) {
    if (frame->ends()) return frame->stream;
  }
  return 0;
}

void Respond(RawPeer& peer, uint32_t stream, const std::string& message) {
  peer.Write(kHeadersFrame, kEndHeaders, stream, Answer200());
  peer.Write(kDataFrame, 0, stream, EchoBody(message));
  peer.Write(kHeadersFrame, kEndHeaders | kEndStream, stream, Field("grpc-status", "0"));
}

TEST_CASE("Channel: how a stream ends is what its call is told", "[net][client]") {
  const auto reset = [](uint32_t code) { return FrameBytes(kResetFrame, 0, 1, BigEndian32(code)); };
  const auto headers = [](const std::string& fields, uint8_t flags = kEndStream) {
    return FrameBytes(kHeadersFrame, static_cast<uint8_t>(flags | kEndHeaders), 1, fields);
  };
  struct Row {
    const char* what;
    std::string bytes;
    absl::StatusCode code;
    bool never_processed;
  };
  const Row rows[] = {
      {"refused", reset(7), absl::StatusCode::kUnavailable, true},
      {"cancelled", reset(8), absl::StatusCode::kCancelled, false},
      {"reset for calm", reset(11), absl::StatusCode::kResourceExhausted, false},
      {"an internal error", reset(2), absl::StatusCode::kInternal, false},
      {"a status nobody knows", headers(Answer200() + Field("grpc-status", "99")),
       absl::StatusCode::kUnknown, false},
      {"no status", headers(Answer200()), absl::StatusCode::kUnknown, false},
      {"trailers only", headers(Answer200() + Field("grpc-status", "5")),
       absl::StatusCode::kNotFound, false},
      {"a proxy's 503", headers(Field(":status", "503")), absl::StatusCode::kUnavailable, false},
      {"a proxy's 404 with a body", headers(Field(":status", "404"), 0),
       absl::StatusCode::kUnimplemented, false},
      {"100, then a status",
       headers(Field(":status", "100"), 0) + headers(Answer200() + Field("grpc-status", "5")),
       absl::StatusCode::kNotFound, false},
      {"an answer that ends inside a message",
       headers(Answer200(), 0) + FrameBytes(kDataFrame, 0, 1, EchoBody("cut").substr(0, 6)) +
           headers(Field("grpc-status", "0")),
       absl::StatusCode::kInternal, false},
      {"headers over the limit", headers(Answer200() + Field("x", std::string(9000, 'x'))),
       absl::StatusCode::kResourceExhausted, false},
      {"trailers over the limit",
       headers(Answer200(), 0) +
           headers(Field("grpc-status", "0") + Field("x", std::string(9000, 'x'))),
       absl::StatusCode::kResourceExhausted, false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    RawListener listener;
    Caller caller(listener.address());
    const auto call = caller.Begin("x");
    const auto peer = listener.Accept();
    REQUIRE(NextRequest(*peer) == 1);
    peer->Write(row.bytes);
    CHECK(call->Outcome().status.code == row.code);
    CHECK(call->Outcome().never_processed == row.never_processed);
    // The next one goes over the same connection.
    const auto next = caller.Begin("next");
    REQUIRE(NextRequest(*peer) == 3);
    Respond(*peer, 3, "answer");
    CHECK(next->Outcome().status.ok());
    CHECK(next->messages == std::vector<std::string>{"answer"});
  }
}

TEST_CASE("Channel: a GOAWAY loses no call that was taken, and says which were not",
          "[net][client]") {
  RawListener listener;
  Caller caller(listener.address());
  const auto taken = caller.Begin("taken");
  const auto peer = listener.Accept();
  REQUIRE(NextRequest(*peer) == 1);
  const auto late = caller.Begin("late");
  REQUIRE(NextRequest(*peer) == 3);
  peer->Write(kGoawayFrame, 0, 0, BigEndian32(1) + BigEndian32(0));
  CHECK(late->Outcome().never_processed);
  CHECK(late->Outcome().status.code == absl::StatusCode::kUnavailable);
  const auto elsewhere = caller.Begin("elsewhere");
  const auto other = listener.Accept();
  REQUIRE(NextRequest(*other) == 1);
  Respond(*peer, 1, "answer");
  CHECK(taken->Outcome().status.ok());
  CHECK(peer->Ends());
  Respond(*other, 1, "answer");
  CHECK(elsewhere->Outcome().status.ok());
}

TEST_CASE("Channel: a connection that breaks fails its calls, the next one makes another",
          "[net][client]") {
  RawListener listener;
  Caller caller(listener.address());
  const auto call = caller.Begin("x");
  auto peer = listener.Accept();
  REQUIRE(NextRequest(*peer) == 1);
  peer.reset();
  CHECK(call->Outcome().status.code == absl::StatusCode::kUnavailable);
  CHECK_FALSE(call->Outcome().never_processed);
  const auto next = caller.Begin("next");
  peer = listener.Accept();
  REQUIRE(NextRequest(*peer) == 1);
  Respond(*peer, 1, "answer");
  CHECK(next->Outcome().status.ok());
}

TEST_CASE("Channel: a deadline passes in time though the server takes no more streams",
          "[net][client]") {
  RawListener listener;
  Caller caller(listener.address());
  const auto first = caller.Begin("first");
  const auto peer = listener.Accept();
  peer->Write(kSettingsFrame, 0, 0, std::string("\0\3", 2) + BigEndian32(1));
  REQUIRE(NextRequest(*peer) == 1);
  peer->UntilPong();
  const auto waits = caller.Begin("waits", absl::Milliseconds(50));
  CHECK(waits->Outcome().status.code == absl::StatusCode::kDeadlineExceeded);
  Respond(*peer, 1, "answer");
  CHECK(first->Outcome().status.ok());
  const auto next = caller.Begin("next");
  Respond(*peer, NextRequest(*peer), "answer");
  CHECK(next->Outcome().status.ok());
}

TEST_CASE("Channel: a deadline passes in time though the server reads nothing", "[net][client]") {
  RawListener listener;
  Caller caller(listener.address());
  const auto peer_made = caller.Begin("x", absl::Milliseconds(50));
  const auto peer = listener.Accept();
  // Windows for all of it, and nobody who reads the socket.
  peer->Write(kSettingsFrame, 0, 0, std::string("\0\4", 2) + BigEndian32(0x7fffffff));
  peer->Write(kWindowFrame, 0, 0, BigEndian32(0x7fff0000));
  std::vector<std::unique_ptr<Caller::Call>> calls;
  for (int i = 0; i < 8; ++i) {
    calls.push_back(caller.Begin(std::string(4 << 20, 'x'), absl::Milliseconds(200)));
  }
  for (const auto& call : calls) {
    CHECK(call->Outcome().status.code == absl::StatusCode::kDeadlineExceeded);
  }
}

TEST_CASE("Channel: a server that never says hello is given up", "[net][client]") {
  RawListener listener;  // connects by the kernel alone
  Channel::Options options;
  options.http2.times.headers = absl::Milliseconds(100);
  Caller caller(listener.address(), options);
  CHECK(caller.Begin("x")->Outcome().status.code == absl::StatusCode::kUnavailable);
}

TEST_CASE("Channel: spreads calls over its connections", "[net][client]") {
  RawListener listener;
  Caller caller(listener.address(), {.connections = 3, .http2 = {}});
  std::vector<std::unique_ptr<Caller::Call>> calls;
  for (int i = 0; i < 6; ++i) calls.push_back(caller.Begin("x"));
  for (int i = 0; i < 3; ++i) {
    const auto peer = listener.Accept();
    for (int stream = 0; stream < 2; ++stream) Respond(*peer, NextRequest(*peer), "answer");
    peer->UntilPong();
    if (i == 2) {
      for (const auto& call : calls) CHECK(call->Outcome().status.ok());
    }
  }
}

TEST_CASE("Channel: draining a server costs no call that it has taken", "[net][client]") {
  const auto server = EchoServer();
  Caller caller(*ParseAddress(server->address()), {.connections = 2, .http2 = {}});
  CHECK(caller.Begin("first")->Outcome().status.ok());
  std::jthread drain([&] { server->Drain(absl::Seconds(20)); });
  for (int failed = 0; failed < 3;) {
    const auto call = caller.Begin("x");
    if (call->Outcome().status.ok()) continue;
    CHECK(call->Outcome().never_processed);
    ++failed;
  }
}

}  // namespace
}  // namespace torchfleet::net
