#include "base/utf8.h"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

namespace torchfleet {
namespace {

TEST_CASE("IsUtf8: takes what Unicode does and nothing else", "[base][utf8]") {
  for (const std::string& text : std::vector<std::string>{
           "", "plain", std::string("a\0b", 3), "\x7F", "é", "日本", "😀", "\xEF\xBF\xBF",
           "\xF4\x8F\xBF\xBF", "\xED\x9F\xBF", "\xEE\x80\x80"}) {
    CAPTURE(text);
    CHECK(IsUtf8(text));
  }
  for (const std::string& text : std::vector<std::string>{
           "\x80", "\xC3", "a\xC3", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80",
           "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82", "\xE2\x82q",
           "\xFF", "\xF0\x9F\x98"}) {
    CAPTURE(text);
    CHECK_FALSE(IsUtf8(text));
  }
}

TEST_CASE("Utf8Length: is that of the first character", "[base][utf8]") {
  CHECK(Utf8Length("") == 0);
  CHECK(Utf8Length("ab") == 1);
  CHECK(Utf8Length("éb") == 2);
  CHECK(Utf8Length("日b") == 3);
  CHECK(Utf8Length("😀b") == 4);
  CHECK(Utf8Length("\xFFz") == 0);
}

}  // namespace
}  // namespace torchfleet
