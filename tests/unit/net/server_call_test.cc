// gRPC's rules for a call, by headers and bodies that no library would send.

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "tests/unit/net/raw_peer.h"

namespace torchfleet::net {
namespace {

std::string CallHeaders(const std::string& extra, const std::string& type = "application/grpc",
                        const std::string& method = "POST",
                        const std::string& path = "/echo.Echo/Say") {
  return Field(":method", method) + Field(":scheme", "http") + Field(":path", path) +
         Field(":authority", "test") + Field("te", "trailers") + Field("content-type", type) +
         extra;
}

// The first answer's header block; nghttp2 sends texts it has no entry for
// without Huffman only where that is shorter, so look for what stays literal.
std::string FirstHeaders(RawPeer& peer) {
  const auto frame = peer.NextOf(kHeadersFrame);
  REQUIRE(frame);
  CHECK((frame->flags & kEndStream) != 0);
  return frame->payload;
}

TEST_CASE("GrpcServerCall: what is no gRPC call is refused at once", "[net][grpc]") {
  struct Row {
    const char* what;
    std::string headers;
  };
  const Row rows[] = {
      {"GET", CallHeaders("", "application/grpc", "GET")},
      {"another content type", CallHeaders("", "application/json")},
      {"almost gRPC", CallHeaders("", "application/grpcx")},
      {"compressed", CallHeaders(Field("grpc-encoding", "gzip"))},
      {"a timeout that is none", CallHeaders(Field("grpc-timeout", "soon"))},
      {"a method nobody has", CallHeaders("", "application/grpc", "POST", "/echo.Echo/None")},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const auto server = EchoServer();
    RawPeer peer(*server);
    peer.Write(kHeadersFrame, kEndHeaders, 1, row.headers);
    FirstHeaders(peer);
    CHECK(peer.ResetCode(1) == 0);  // the rest of it is not needed
    peer.Call(3, "still here");
    CHECK(peer.Echo(3) == "still here");
  }
}

TEST_CASE("GrpcServerCall: sub-types of application/grpc are gRPC", "[net][grpc]") {
  const auto server = EchoServer();
  RawPeer peer(*server);
  peer.Write(kHeadersFrame, kEndHeaders, 1, CallHeaders("", "application/grpc+proto"));
  peer.Write(kDataFrame, kEndStream, 1, EchoBody("yes"));
  CHECK(peer.Echo(1) == "yes");
}

TEST_CASE("GrpcServerCall: a deadline that passes ends the call", "[net][grpc]") {
  const auto server = EchoServer();
  RawPeer peer(*server);
  peer.Write(kHeadersFrame, kEndHeaders, 1, CallHeaders(Field("grpc-timeout", "50m")));
  FirstHeaders(peer);
  CHECK(peer.ResetCode(1) == 0);
}

TEST_CASE("GrpcServerCall: a request that ends inside a message is an error", "[net][grpc]") {
  const auto server = EchoServer();
  RawPeer peer(*server);
  peer.Write(kHeadersFrame, kEndHeaders, 1, CallHeaders(""));
  peer.Write(kDataFrame, kEndStream, 1, EchoBody("cut short").substr(0, 8));
  FirstHeaders(peer);
  peer.Write(kHeadersFrame, kEndHeaders, 3, CallHeaders(""));
  peer.Write(kDataFrame, 0, 3, std::string("\0\x7f\xff\xff\xff", 5));  // 2 GiB to come
  FirstHeaders(peer);
}

}  // namespace
}  // namespace torchfleet::net
