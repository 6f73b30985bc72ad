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

// An answer that is headers alone.
Headers OnlyHeaders(RawPeer& peer) {
  const auto frame = peer.NextOf(kHeadersFrame);
  REQUIRE(frame);
  CHECK(frame->ends());
  return frame->fields;
}
std::string StatusOf(const Headers& headers) {
  return std::string(headers.ValueOr("grpc-status", "none"));
}

TEST_CASE("GrpcServerCall: what is no gRPC call is refused at once", "[net][grpc]") {
  struct Row {
    const char* what;
    std::string headers;
    std::string http, grpc;
  };
  const Row rows[] = {
      {"GET", CallHeaders("", "application/grpc", "GET"), "405", "13"},
      {"another content type", CallHeaders("", "application/json"), "415", "13"},
      {"almost gRPC", CallHeaders("", "application/grpcx"), "415", "13"},
      {"compressed", CallHeaders(Field("grpc-encoding", "gzip")), "200", "12"},
      {"a timeout that is none", CallHeaders(Field("grpc-timeout", "soon")), "200", "13"},
      {"a method nobody has", CallHeaders("", "application/grpc", "POST", "/echo.Echo/None"), "200",
       "12"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const auto server = EchoServer();
    RawPeer peer(*server);
    peer.Write(kHeadersFrame, kEndHeaders, 1, row.headers);
    const Headers answer = OnlyHeaders(peer);
    CHECK(answer.ValueOr(":status", "") == row.http);
    CHECK(StatusOf(answer) == row.grpc);
    if (row.what == std::string_view("compressed")) {
      CHECK(answer.ValueOr("grpc-accept-encoding", "") == "identity");
    }
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
  CHECK(StatusOf(OnlyHeaders(peer)) == "4");
  CHECK(peer.ResetCode(1) == 0);
}

TEST_CASE("GrpcServerCall: messages that are cut, too large or compressed", "[net][grpc]") {
  const auto server = EchoServer();
  RawPeer peer(*server);
  peer.Write(kHeadersFrame, kEndHeaders, 1, CallHeaders(""));
  peer.Write(kDataFrame, kEndStream, 1, EchoBody("cut short").substr(0, 8));
  CHECK(StatusOf(OnlyHeaders(peer)) == "13");
  peer.Write(kHeadersFrame, kEndHeaders, 3, CallHeaders(""));
  peer.Write(kDataFrame, 0, 3, std::string("\0\x7f\xff\xff\xff", 5));  // 2 GiB to come
  CHECK(StatusOf(OnlyHeaders(peer)) == "8");
  peer.Write(kHeadersFrame, kEndHeaders, 5, CallHeaders(""));
  peer.Write(kDataFrame, 0, 5, std::string("\1\0\0\0\1x", 6));
  CHECK(StatusOf(OnlyHeaders(peer)) == "13");
}

}  // namespace
}  // namespace torchfleet::net
