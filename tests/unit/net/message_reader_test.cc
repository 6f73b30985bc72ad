#include "net/grpc/message_reader.h"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

namespace torchfleet::net {
namespace {

std::string Framed(const std::string& message) {
  char prefix[kGrpcPrefixSize];
  WriteGrpcPrefix(message.size(), prefix);
  return std::string(prefix, sizeof prefix) + message;
}

Slice Bytes(const char* text, size_t size) { return Slice::Keep(std::string(text, size)); }

TEST_CASE("MessageReader: the same messages however the body is cut", "[net][grpc]") {
  const std::vector<std::string> messages = {"one", "", std::string(300, 'x'), "", "last"};
  std::string body;
  for (const std::string& message : messages) body += Framed(message);
  for (size_t piece = 1; piece <= body.size(); ++piece) {
    BlockPool pool;
    MessageReader reader(1000);
    std::vector<std::string> read;
    for (size_t at = 0; at < body.size(); at += piece) {
      REQUIRE(reader
                  .Take(Slice::Keep(body.substr(at, piece)), pool,
                        [&](const Slice& message) { read.emplace_back(message.bytes()); })
                  .ok());
    }
    CAPTURE(piece);
    REQUIRE(read == messages);
    REQUIRE(reader.AtBoundary());
  }
}

TEST_CASE("MessageReader: is told of the end of a body inside a message", "[net][grpc]") {
  const std::string body = Framed("abc");
  for (size_t size = 1; size < body.size(); ++size) {
    BlockPool pool;
    MessageReader reader(10);
    CHECK(reader.Take(Slice::Keep(body.substr(0, size)), pool, [](const Slice&) {}).ok());
    CHECK_FALSE(reader.AtBoundary());
    reader.Clear();
    CHECK(reader.AtBoundary());
  }
}

TEST_CASE("MessageReader: refuses what is too large by its prefix alone", "[net][grpc]") {
  BlockPool pool;
  MessageReader reader(10);
  int messages = 0;
  const auto count = [&](const Slice&) { ++messages; };
  CHECK(reader.Take(Slice::Keep(Framed(std::string(10, 'x'))), pool, count).ok());
  CHECK(absl::IsResourceExhausted(reader.Take(Bytes("\0\0\0\0\x0b", 5), pool, count)));
  CHECK(messages == 1);
  MessageReader huge(64 << 20);
  CHECK(absl::IsResourceExhausted(huge.Take(Bytes("\0\xff\xff\xff\xff", 5), pool, count)));
}

TEST_CASE("MessageReader: refuses compressed messages", "[net][grpc]") {
  BlockPool pool;
  MessageReader reader(10);
  CHECK(absl::IsInternal(reader.Take(Bytes("\1\0\0\0\1x", 6), pool, [](const Slice&) {})));
}

TEST_CASE("MessageReader: what came whole is not copied, what did not is gathered once",
          "[net][grpc]") {
  BlockPool pool;
  MessageReader reader(64 << 20);
  const Slice body = Slice::Keep(Framed("whole") + Framed("cut"));
  std::vector<Slice> kept;
  const auto keep = [&](const Slice& message) { kept.push_back(message); };
  Slice rest = body;
  REQUIRE(reader.Take(rest.Cut(body.size() - 1), pool, keep).ok());
  REQUIRE(reader.Take(rest, pool, keep).ok());
  REQUIRE(kept.size() == 2);
  CHECK(kept[0].block() == body.block());
  CHECK(kept[1].block() != body.block());
  CHECK(kept[1].bytes() == "cut");

  // Large ones grow as they come, and those kept stay as they were.
  const std::string large(5 << 20, 'l');
  Slice framed = Slice::Keep(Framed(large));
  while (!framed.empty()) {
    REQUIRE(reader.Take(framed.Cut(std::min<size_t>(70000, framed.size())), pool, keep).ok());
  }
  REQUIRE(kept.size() == 3);
  CHECK(kept[2].bytes() == large);
  CHECK(kept[1].bytes() == "cut");
}

TEST_CASE("MessageReader: watches over a body as strictly as it reads one", "[net][grpc]") {
  const std::string body = Framed("one") + Framed("") + Framed(std::string(300, 'x'));
  for (size_t piece = 1; piece <= body.size(); ++piece) {
    MessageReader reader(300);
    for (size_t at = 0; at < body.size(); at += piece) {
      REQUIRE(reader.Watch(std::string_view(body).substr(at, piece)).ok());
    }
    CHECK(reader.AtBoundary());
    CHECK(absl::IsResourceExhausted(reader.Watch(Framed(std::string(301, 'x')))));
    reader.Clear();
    CHECK(absl::IsInternal(reader.Watch(std::string("\1\0\0\0\0", 5))));
  }
}

}  // namespace
}  // namespace torchfleet::net
