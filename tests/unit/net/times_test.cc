// Peers that say nothing lose their connection; these times are tenths of a
// second here.

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "tests/unit/net/raw_peer.h"

namespace torchfleet::net {
namespace {

TEST_CASE("Times: a peer that never introduces itself", "[net][http2]") {
  Http2Options options;
  options.times.headers = absl::Milliseconds(100);
  const auto server = EchoServer(options);
  RawPeer silent(*server, /*hello=*/false);
  CHECK(silent.Ends());
  RawPeer half(*server, /*hello=*/false);
  half.Write("PRI * HTTP/2.0\r\n\r\nSM");
  CHECK(half.Ends());
}

TEST_CASE("Times: headers that stop in the middle", "[net][http2]") {
  Http2Options options;
  options.times.headers = absl::Milliseconds(100);
  const auto server = EchoServer(options);
  RawPeer peer(*server);
  peer.Write(kHeadersFrame, 0, 1, EchoHeaders());
  CHECK(peer.Ends());
}

TEST_CASE("Times: a peer that has introduced itself may be quiet", "[net][http2]") {
  Http2Options options;
  options.times.headers = absl::Milliseconds(50);
  options.times.body = absl::Milliseconds(50);
  const auto server = EchoServer(options);
  RawPeer quiet(*server);
  RawPeer watch(*server, /*hello=*/false);
  CHECK(watch.Ends());  // its time has passed, and so has the quiet one's
  quiet.Call(1, "here");
  CHECK(quiet.Echo(1) == "here");
}

TEST_CASE("Times: a body that does not come is given up, its connection lives", "[net][http2]") {
  Http2Options options;
  options.times.body = absl::Milliseconds(100);
  const auto server = EchoServer(options);
  RawPeer peer(*server);
  peer.Write(kHeadersFrame, kEndHeaders, 1, EchoHeaders());
  peer.Write(kDataFrame, 0, 1, "x");
  CHECK(peer.ResetCode(1) == 8);
  peer.Call(3, "still here");
  CHECK(peer.Echo(3) == "still here");
}

// By this time, what was due within `limit` for those that came before is late.
void LetPass(const Server& server) {
  RawPeer silent(server, /*hello=*/false);
  CHECK(silent.Ends());
}

TEST_CASE("Times: a caller may think between two messages, not inside one", "[net][http2]") {
  Http2Options options;
  options.times.body = absl::Milliseconds(50);
  options.times.headers = absl::Milliseconds(150);
  const auto server = EchoServer(options);
  RawPeer peer(*server);
  peer.Write(kHeadersFrame, kEndHeaders, 1, EchoHeaders());
  peer.Write(kDataFrame, 0, 1, EchoBody("first"));
  REQUIRE(peer.NextOf(kDataFrame));
  LetPass(*server);
  peer.Write(kDataFrame, 0, 1, EchoBody("second"));
  REQUIRE(peer.NextOf(kDataFrame));
  peer.Write(kDataFrame, 0, 1, EchoBody("third").substr(0, 7));
  CHECK(peer.ResetCode(1) == 8);
}

TEST_CASE("Times: headers that were refused are not waited for", "[net][http2]") {
  Http2Options options;
  options.times.headers = absl::Milliseconds(50);
  options.limits.streams = 1;
  const auto server = EchoServer(options);
  RawPeer peer(*server);
  peer.Write(kHeadersFrame, kEndHeaders, 1, EchoHeaders());
  peer.Write(kHeadersFrame, kEndHeaders, 3, EchoHeaders());  // over the limit
  CHECK(peer.ResetCode(3) == 7);
  LetPass(*server);
  peer.Write(kDataFrame, kEndStream, 1, EchoBody("here"));
  CHECK(peer.Echo(1) == "here");
  peer.Write(kHeadersFrame, kEndHeaders, 5, EchoHeaders() + Field("Bad", ""));  // no headers
  CHECK(peer.ResetCode(5) == 1);
  LetPass(*server);
  peer.Call(7, "here");
  CHECK(peer.Echo(7) == "here");
}

TEST_CASE("Times: a connection without calls gets a goodbye", "[net][http2]") {
  Http2Options options;
  options.times.idle = absl::Milliseconds(100);
  const auto server = EchoServer(options);
  RawPeer peer(*server);
  peer.Call(1, "used");
  CHECK(peer.Echo(1) == "used");
  CHECK(peer.GoawayCode() == 0);
}

TEST_CASE("Times: a silent peer is pinged, and lost when it stays silent", "[net][http2]") {
  Http2Options options;
  options.times.ping_after = absl::Milliseconds(100);
  options.times.ping_answer = absl::Milliseconds(100);
  const auto server = EchoServer(options);
  RawPeer peer(*server);
  const auto ping = peer.NextOf(kPingFrame);
  REQUIRE(ping);
  peer.Write(kPingFrame, kAck, 0, ping->payload);
  REQUIRE(peer.NextOf(kPingFrame));  // it was believed, and asked again
  CHECK(peer.Ends());
}

}  // namespace
}  // namespace torchfleet::net
