#include "net/http1/http1_grammar.h"

#include <catch2/catch_test_macros.hpp>
#include <cctype>
#include <string>

namespace torchfleet::net {
namespace {

// Of every byte at every place of texts that are read eight bytes at a time.
template <typename Check>
void ForEachByte(Check check) {
  for (size_t size = 1; size <= 17; ++size) {
    for (size_t at = 0; at < size; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string text(size, 'a');
        text[at] = static_cast<char>(byte);
        check(text, byte);
      }
    }
  }
}

TEST_CASE("Http1Grammar: a field's value holds no control character but a tab", "[net][http1]") {
  size_t wrong = 0;
  ForEachByte([&](const std::string& text, int byte) {
    const bool fine = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
    wrong += IsFieldValue(text) != fine || IsFieldValue("\t\t" + text) != fine;
  });
  CHECK(wrong == 0);
  CHECK(IsFieldValue(""));
  CHECK(IsFieldValue("\x80\xff with a \t tab and \xc3\xa9"));
  CHECK_FALSE(IsFieldValue("\ttab first, then\x01"));
}

TEST_CASE("Http1Grammar: a token is read in lower case", "[net][http1]") {
  size_t wrong = 0;
  ForEachByte([&](const std::string& text, int byte) {
    const bool fine =
        byte < 0x80 && byte != 0 &&
        (std::isalnum(byte) ||
         std::string("!#$%&'*+-.^_`|~").find(static_cast<char>(byte)) != std::string::npos);
    std::string lower;
    wrong += IsToken(text) != fine || ReadToken(text, lower) != fine;
    if (fine) wrong += !EqualsIgnoringCase(lower, text) || lower.find_first_of("AZ") != lower.npos;
  });
  CHECK(wrong == 0);
  std::string lower;
  CHECK_FALSE(ReadToken("", lower));
  CHECK(ReadToken("X-Request-ID", lower));
  CHECK(lower == "x-request-id");
}

}  // namespace
}  // namespace torchfleet::net
