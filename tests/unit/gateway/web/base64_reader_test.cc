#include "gateway/protocol/web/base64_reader.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "net/grpc/status.h"

namespace torchfleet::gateway {
namespace {

TEST_CASE("Base64Reader: texts one behind the other, cut anywhere", "[gateway][web]") {
  const std::string parts[] = {"", "a", "ab", "abc", "abcd", std::string("\0\xff\x80", 3)};
  std::string text, bytes;
  for (const std::string& part : parts) {
    text += net::EncodeBase64(part);
    bytes += part;
  }
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    Base64Reader reader;
    std::string out;
    CHECK(reader.Take(std::string_view(text).substr(0, cut), out));
    CHECK(reader.Take(std::string_view(text).substr(cut), out));
    CHECK(out == bytes);
    CHECK(reader.AtBoundary());
  }
}

TEST_CASE("Base64Reader: what is no base64 is refused", "[gateway][web]") {
  for (const char* text : {"ab\nc", "a===", "====", "ab=c", "a-_b", "\xff\xff\xff\xff"}) {
    CAPTURE(text);
    Base64Reader reader;
    std::string out;
    CHECK_FALSE(reader.Take(text, out));
  }
  Base64Reader half;
  std::string out;
  CHECK(half.Take("YW", out));
  CHECK_FALSE(half.AtBoundary());
  half.Clear();
  CHECK(half.AtBoundary());
}

}  // namespace
}  // namespace torchfleet::gateway
