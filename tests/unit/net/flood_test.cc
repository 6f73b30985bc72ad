// Peers that cost more than they are worth lose their connection; others do not
// notice.

#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "tests/unit/net/raw_peer.h"

namespace torchfleet::net {
namespace {

constexpr uint32_t kCalm = 11;

Http2Options Strict() {
  Http2Options options;
  options.limits.resets = {20, 0};
  options.limits.pings = {20, 0};
  return options;
}

void CheckOthers(const Server& server) {
  RawPeer other(server);
  other.Call(1, "still here");
  CHECK(other.Echo(1) == "still here");
}

TEST_CASE("Flood: pings, settings and empty frames are told to calm down", "[net][http2]") {
  const std::string floods[] = {
      FrameBytes(kPingFrame, 0, 0, "12345678"),
      FrameBytes(kSettingsFrame, 0, 0, ""),
      FrameBytes(kDataFrame, 0, 1, ""),
  };
  for (const std::string& frame : floods) {
    const auto server = EchoServer(Strict());
    RawPeer peer(*server);
    peer.Write(kHeadersFrame, kEndHeaders, 1, EchoHeaders());
    std::string flood;
    for (int i = 0; i < 100; ++i) flood += frame;
    peer.Write(flood);
    CHECK(peer.GoawayCode() == kCalm);
    CheckOthers(*server);
  }
}

TEST_CASE("Flood: streams opened to be reset", "[net][http2]") {
  const auto server = EchoServer(Strict());
  RawPeer peer(*server);
  std::string flood;
  for (uint32_t stream = 1; stream < 200; stream += 2) {
    flood += FrameBytes(kHeadersFrame, kEndHeaders, stream, EchoHeaders());
    flood += FrameBytes(kResetFrame, 0, stream, BigEndian32(8));
  }
  peer.Write(flood);
  CHECK(peer.GoawayCode() == kCalm);
  CheckOthers(*server);
}

TEST_CASE("Flood: a ping for every answer is a measurement, not a flood", "[net][http2]") {
  const auto server = EchoServer(Strict());
  RawPeer peer(*server);
  for (uint32_t stream = 1; stream < 200; stream += 2) {
    peer.Call(stream, "x");
    REQUIRE(peer.Echo(stream) == "x");
    peer.Write(kPingFrame, 0, 0, "12345678");
    REQUIRE(peer.NextOf(kPingFrame));
  }
}

// UBSan looks at memory through a pipe of its own, which it cannot have here.
#ifndef __SANITIZE_ADDRESS__
TEST_CASE("Flood: without file descriptors callers wait, and are served when there are some",
          "[net][socket]") {
  const auto server = EchoServer();
  RawPeer before(*server);
  before.Call(1, "first");
  REQUIRE(before.Echo(1) == "first");
  rlimit limit;
  REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  // Every number below the limit is taken but one, which the caller's own
  // socket takes.
  const int highest = dup(0);
  close(highest);
  const rlimit none = {.rlim_cur = static_cast<rlim_t>(highest) + 1, .rlim_max = limit.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  RawPeer waiting(*server);
  waiting.Call(1, "second");
  before.Call(3, "still here");
  CHECK(before.Echo(3) == "still here");
  REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  CHECK(waiting.Echo(1) == "second");
}
#endif

TEST_CASE("Flood: streams that the peer breaks itself", "[net][http2]") {
  const std::string ways[] = {
      FrameBytes(kWindowFrame, 0, 1, BigEndian32(0x7fffffff)),
      FrameBytes(kHeadersFrame, kEndHeaders | kEndStream, 1, Field("Bad", "")),
  };
  for (const std::string& way : ways) {
    const auto server = EchoServer(Strict());
    RawPeer peer(*server);
    std::string flood;
    for (uint32_t stream = 1; stream < 200; stream += 2) {
      std::string breaks = way;
      breaks[8] = static_cast<char>(stream);
      flood += FrameBytes(kHeadersFrame, kEndHeaders, stream, EchoHeaders()) + breaks;
    }
    peer.Write(flood);
    CHECK(peer.GoawayCode() == kCalm);
    CheckOthers(*server);
  }
}

TEST_CASE("Flood: streams over the limit, again and again", "[net][http2]") {
  Http2Options options = Strict();
  options.limits.streams = 1;
  const auto server = EchoServer(options);
  RawPeer peer(*server);
  std::string flood;
  for (uint32_t stream = 1; stream < 200; stream += 2) {
    flood += FrameBytes(kHeadersFrame, kEndHeaders, stream, EchoHeaders());
  }
  peer.Write(flood);
  CHECK(peer.GoawayCode() == kCalm);
  CheckOthers(*server);
}

TEST_CASE("Flood: who calls as often as it pings and cancels is no flood", "[net][http2]") {
  const auto server = EchoServer(Strict());
  RawPeer peer(*server);
  for (uint32_t stream = 1; stream < 400; stream += 4) {
    peer.Write(kPingFrame, 0, 0, "12345678");
    peer.Write(kHeadersFrame, kEndHeaders, stream, EchoHeaders());
    peer.Write(kResetFrame, 0, stream, BigEndian32(8));
    peer.Call(stream + 2, "hello");
    REQUIRE(peer.Echo(stream + 2) == "hello");
  }
}

TEST_CASE("Flood: headers over the limit are answered 431", "[net][http2]") {
  const auto server = EchoServer();
  RawPeer peer(*server);
  const std::string block = EchoHeaders() + Field("x", std::string(9000, 'x'));
  peer.Write(kHeadersFrame, kEndHeaders, 1, block);
  const auto answer = peer.NextOf(kHeadersFrame);
  REQUIRE(answer);
  CHECK(answer->stream == 1);
  CHECK(answer->fields.ValueOr(":status", "") == "431");
  peer.Call(3, "still here");
  CHECK(peer.Echo(3) == "still here");
}

TEST_CASE("Flood: headers without end drop the connection", "[net][http2]") {
  const auto server = EchoServer();
  RawPeer peer(*server);
  peer.Write(kHeadersFrame, 0, 1, EchoHeaders());
  const std::string part =
      FrameBytes(kContinuationFrame, 0, 1, Field("x", std::string(16000, 'x')));
  for (int i = 0; i < 1024; ++i) peer.Write(part);  // 16 MiB
  CHECK(peer.Ends());
  CheckOthers(*server);
}

}  // namespace
}  // namespace torchfleet::net
