// What RFC 9113 says a server MUST make of requests that are malformed (section
// 8), and RFC 7541 of header blocks that are none.

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "tests/unit/net/raw_peer.h"

namespace torchfleet::net {
namespace {

constexpr uint32_t kProtocol = 1, kFlowControl = 3, kCompression = 9;

std::string Request(const std::string& block) {
  return FrameBytes(kHeadersFrame, kEndHeaders, 1, block);
}

TEST_CASE("HTTP/2: a malformed request ends its stream alone", "[net][http2]") {
  struct Row {
    const char* what;
    std::string bytes;
    uint32_t code;
  };
  const Row rows[] = {
      {"an upper-case name (8.2.1)", Request(EchoHeaders() + Field("X-Upper", "1")), kProtocol},
      {"connection-specific field (8.2.2)", Request(EchoHeaders() + Field("connection", "close")),
       kProtocol},
      {"te other than trailers (8.2.2)", Request(EchoHeaders() + Field("te", "gzip")), kProtocol},
      {"a space in a name (8.2.1)", Request(EchoHeaders() + Field("a b", "1")), kProtocol},
      {"a name of nothing (8.2.1)", Request(EchoHeaders() + Field("", "1")), kProtocol},
      {"a colon in a name (8.2.1)", Request(EchoHeaders() + Field("a:b", "1")), kProtocol},
      {"a line's end in a value (8.2.1)", Request(EchoHeaders() + Field("x", "a\nb")), kProtocol},
      {"a zero in a value (8.2.1)", Request(EchoHeaders() + Field("x", std::string("a\0b", 3))),
       kProtocol},
      {"a value that begins with a space (8.2.1)", Request(EchoHeaders() + Field("x", " a")),
       kProtocol},
      {"a value that ends with a tab (8.2.1)", Request(EchoHeaders() + Field("x", "a\t")),
       kProtocol},
      {"keep-alive (8.2.2)", Request(EchoHeaders() + Field("keep-alive", "1")), kProtocol},
      {"proxy-connection (8.2.2)", Request(EchoHeaders() + Field("proxy-connection", "x")),
       kProtocol},
      {"transfer-encoding (8.2.2)", Request(EchoHeaders() + Field("transfer-encoding", "chunked")),
       kProtocol},
      {"upgrade (8.2.2)", Request(EchoHeaders() + Field("upgrade", "h2c")), kProtocol},
      {"an answer's pseudo-header (8.3)", Request(Field(":status", "200") + EchoHeaders()),
       kProtocol},
      {"no :scheme (8.3.1)", Request(Field(":method", "POST") + Field(":path", "/")), kProtocol},
      {":path without a slash (8.3.1)",
       Request(Field(":scheme", "http") + Field(":method", "POST") + Field(":path", "echo")),
       kProtocol},
      {"CONNECT with a :path (8.5)",
       Request(Field(":method", "CONNECT") + Field(":authority", "a:1") + Field(":path", "/")),
       kProtocol},
      {"CONNECT without an authority (8.5)", Request(Field(":method", "CONNECT")), kProtocol},
      {"no :method (8.3.1)", Request(Field(":scheme", "http") + Field(":path", "/")), kProtocol},
      {"no :path (8.3.1)", Request(Field(":scheme", "http") + Field(":method", "POST")), kProtocol},
      {"an empty :path (8.3.1)",
       Request(Field(":scheme", "http") + Field(":method", "POST") + Field(":path", "")),
       kProtocol},
      {"a pseudo-header twice (8.3.1)", Request(Field(":method", "POST") + EchoHeaders()),
       kProtocol},
      {"a pseudo-header after others (8.3)", Request(Field("x", "1") + EchoHeaders()), kProtocol},
      {"a pseudo-header nobody knows (8.3)", Request(Field(":other", "1") + EchoHeaders()),
       kProtocol},
      {"a pseudo-header among trailers (8.1)",
       Request(EchoHeaders()) +
           FrameBytes(kHeadersFrame, kEndHeaders | kEndStream, 1, Field(":method", "POST")),
       kProtocol},
      {"content-length that is not the body's (8.1.1)",
       Request(EchoHeaders() + Field("content-length", "3")) +
           FrameBytes(kDataFrame, kEndStream, 1, "toolong"),
       kProtocol},
      {"a body shorter than content-length (8.1.1)",
       Request(EchoHeaders() + Field("content-length", "9")) +
           FrameBytes(kDataFrame, kEndStream, 1, "short"),
       kProtocol},
      {"content-length, and no body (8.1.1)",
       FrameBytes(kHeadersFrame, kEndHeaders | kEndStream, 1,
                  EchoHeaders() + Field("content-length", "1")),
       kProtocol},
      {"a content-length that is none (8.1.1)",
       Request(EchoHeaders() + Field("content-length", "1x")), kProtocol},
      {"content-length twice (8.1.1)",
       Request(EchoHeaders() + Field("content-length", "5") + Field("content-length", "6")),
       kProtocol},
      {"trailers that do not end their stream (8.1)",
       Request(EchoHeaders()) + FrameBytes(kHeadersFrame, kEndHeaders, 1, Field("x", "1")),
       kProtocol},
      // nghttp2 ends the stream, where the RFC has the connection end.
      {"a stream's window over 2^31-1 by SETTINGS (6.9.2)",
       Request(EchoHeaders()) + FrameBytes(kWindowFrame, 0, 1, BigEndian32(0x7fffffff - 65535)) +
           FrameBytes(kSettingsFrame, 0, 0, std::string("\0\4", 2) + BigEndian32(65536)),
       kFlowControl},
      {"a stream's window over 2^31-1 (6.9.1)",
       Request(EchoHeaders()) + FrameBytes(kWindowFrame, 0, 1, BigEndian32(0x7fffffff)),
       kFlowControl},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const auto server = EchoServer();
    RawPeer peer(*server);
    peer.Write(row.bytes);
    const auto code = peer.ResetCode(1);
    REQUIRE(code);
    CHECK(*code == row.code);
    peer.Call(3, "still here");
    CHECK(peer.Echo(3) == "still here");
  }
}

TEST_CASE("HPACK: a block that cannot be read ends the connection", "[net][http2]") {
  struct Row {
    const char* what;
    std::string block;
  };
  const Row rows[] = {
      {"index 0 (6.1)", "\x80"},
      {"an index behind both tables (2.3.3)", "\xbe"},
      {"a name's index behind both tables (2.3.3)", std::string("\x7f\x20\x01x", 4)},
      {"an index over what a number holds (5.1)", "\xff\xff\xff\xff\xff\xff\xff\x7f"},
      {"a number that has no end (5.1)", "\xff\xff"},
      {"a text longer than its block (5.2)", std::string("\x40\x01x\x05y", 5)},
      {"a text without a length (5.2)", std::string("\x40\x01x", 3)},
      {"a length over what a number holds (5.1)",
       std::string("\x40\x7f\xff\xff\xff\xff\xff\x7f", 8)},
      {"Huffman's padding of zeros (5.2)", std::string("\x40\x01x\x81\x18", 5)},
      {"Huffman's padding of a byte (5.2)", std::string("\x40\x01x\x82\x1f\xff", 6)},
      {"Huffman's end of text within it (5.2)", std::string("\x40\x01x\x84\xff\xff\xff\xfc", 8)},
      {"a table over what we said (6.3)", "\x3f\xe2\x1f"},
      {"a table's size behind a field (4.2)", "\x83\x20"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const auto server = EchoServer();
    RawPeer peer(*server);
    peer.Write(Request(EchoHeaders() + row.block));
    CHECK(peer.GoawayCode() == kCompression);
    RawPeer other(*server);
    other.Call(1, "still here");
    CHECK(other.Echo(1) == "still here");
  }
}

TEST_CASE("HPACK: what a block may hold is read", "[net][http2]") {
  struct Row {
    const char* what;
    std::string before, behind;
  };
  const Row rows[] = {
      {"a table of 0 (6.3)", "\x20", ""},
      {"a table of the size we said (6.3)", "\x3f\xe1\x1f", ""},
      {"two sizes, the smallest first (4.2)", "\x20\x3f\xe1\x1f", ""},
      {"a field into the table, and out of it (6.1)", "", std::string("\x40\x01x\x01y\xbe", 6)},
      {"a field over the table, which empties it (4.4)", "",
       std::string("\x40\x01x\x7f\xa1\x1f", 6) + std::string(4128, 'y')},
      {"Huffman (5.2)", "", std::string("\x40\x01x\x81\x1f", 5)},
      {"an empty value (5.2)", "", std::string("\x40\x01x\x00", 4)},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const auto server = EchoServer();
    RawPeer peer(*server);
    peer.Write(Request(row.before + EchoHeaders() + row.behind));
    peer.Write(kDataFrame, kEndStream, 1, EchoBody("read"));
    CHECK(peer.Echo(1) == "read");
  }
}

TEST_CASE("HPACK: a table of our own is as small as the peer wants it", "[net][http2]") {
  const auto server = EchoServer();
  RawPeer peer(*server);
  peer.Write(kSettingsFrame, 0, 0, std::string("\0\1", 2) + BigEndian32(0));
  peer.Call(1, "x");
  const auto answer = peer.NextOf(kHeadersFrame);
  REQUIRE(answer);
  CHECK(answer->payload.front() == '\x20');  // said first (RFC 7541, 4.2)
}

}  // namespace
}  // namespace torchfleet::net
