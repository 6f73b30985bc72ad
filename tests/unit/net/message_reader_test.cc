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

TEST_CASE("MessageReader: the same messages however the body is cut", "[net][grpc]") {
  const std::vector<std::string> messages = {"one", "", std::string(300, 'x'), "", "last"};
  std::string body;
  for (const std::string& message : messages) body += Framed(message);
  for (size_t piece = 1; piece <= body.size(); ++piece) {
    MessageReader reader(1000);
    std::vector<std::string> read;
    for (size_t at = 0; at < body.size(); at += piece) {
      REQUIRE(reader
                  .Take(std::string_view(body).substr(at, piece),
                        [&](std::string_view message) { read.emplace_back(message); })
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
    MessageReader reader(10);
    CHECK(reader.Take(body.substr(0, size), [](std::string_view) {}).ok());
    CHECK_FALSE(reader.AtBoundary());
    reader.Clear();
    CHECK(reader.AtBoundary());
  }
}

TEST_CASE("MessageReader: refuses what is too large by its prefix alone", "[net][grpc]") {
  MessageReader reader(10);
  int messages = 0;
  const auto count = [&](std::string_view) { ++messages; };
  CHECK(reader.Take(Framed(std::string(10, 'x')), count).ok());
  CHECK(absl::IsResourceExhausted(reader.Take(std::string("\0\0\0\0\x0b", 5), count)));
  CHECK(messages == 1);
  MessageReader huge(64 << 20);
  CHECK(absl::IsResourceExhausted(huge.Take(std::string("\0\xff\xff\xff\xff", 5), count)));
}

TEST_CASE("MessageReader: refuses compressed messages", "[net][grpc]") {
  MessageReader reader(10);
  CHECK(absl::IsInternal(reader.Take(std::string("\1\0\0\0\1x", 6), [](std::string_view) {})));
}

}  // namespace
}  // namespace torchfleet::net
