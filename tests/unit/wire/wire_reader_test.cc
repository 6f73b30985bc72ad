#include "wire/wire_reader.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace torchfleet::wire {
namespace {

WireReader Over(std::string_view bytes) { return WireReader(ContiguousBytes(bytes)); }

TEST_CASE("WireReader: a number has at most ten bytes, and loses what is over 64 bits",
          "[wire][reader]") {
  uint64_t value = 0;
  const std::string longest = std::string(9, '\xFF') + '\x7F';
  REQUIRE(Over(longest).ReadVarint(value));
  CHECK(value == ~uint64_t{0});
  const std::string too_long = std::string(10, '\xFF') + '\x01';
  WireReader longer = Over(too_long);
  CHECK_FALSE(longer.ReadVarint(value));
  CHECK(longer.expected() == "a number of at most ten bytes");
  CHECK_FALSE(Over("\xFF").ReadVarint(value));
}

TEST_CASE("WireReader: a tag has at most five bytes and a field number", "[wire][reader]") {
  uint32_t tag = 0;
  REQUIRE(Over(std::string_view("\x8A\x80\x80\x80\x00", 5)).ReadTag(tag));
  CHECK(tag == LengthTag(1));
  CHECK_FALSE(Over(std::string_view("\x8A\x80\x80\x80\x80\x00", 6)).ReadTag(tag));
  WireReader zero = Over("\x02");
  CHECK_FALSE(zero.ReadTag(tag));
  CHECK(zero.expected() == "a field number over 0");
}

TEST_CASE("WireReader: a length over what is left is not believed", "[wire][reader]") {
  std::string_view bytes;
  REQUIRE(Over("\x02"
               "ab")
              .ReadBytes(bytes));
  CHECK(bytes == "ab");
  CHECK_FALSE(Over("\x03"
                   "ab")
                  .ReadBytes(bytes));
  // 2^32 + 2: 32 bits of it would be 2.
  CHECK_FALSE(Over("\x82\x80\x80\x80\x10"
                   "ab")
                  .ReadBytes(bytes));
}

TEST_CASE("WireReader: a group ends with its own number only", "[wire][reader]") {
  WireReader nested = Over("\x14\x0C");
  CHECK(nested.SkipField(MakeTag(1, WireType::kEndGroup), 100) == false);
  CHECK(Over("\x13\x14\x0C").SkipField(MakeTag(1, WireType::kStartGroup), 100));
  CHECK_FALSE(Over("\x13\x0C\x14").SkipField(MakeTag(1, WireType::kStartGroup), 100));
  CHECK_FALSE(Over("\x13\x14").SkipField(MakeTag(1, WireType::kStartGroup), 100));
  CHECK_FALSE(Over("\x13\x14\x0C").SkipField(MakeTag(1, WireType::kStartGroup), 1));
}

}  // namespace
}  // namespace torchfleet::wire
