#include <bit>
#include <catch2/catch_test_macros.hpp>
#include <charconv>
#include <cmath>
#include <limits>
#include <random>
#include <string>

#include "gateway/protocol/rest/half_float.h"
#include "gateway/protocol/rest/json_number.h"

namespace torchfleet::gateway::rest {
namespace {

std::optional<Decimal> Scan(const std::string& text) {
  Decimal decimal;
  const char* const end = text.data() + text.size();
  return ScanNumber(text.data(), end, decimal) == end ? std::optional(decimal) : std::nullopt;
}

template <typename T, typename Convert>
std::optional<T> Converted(const std::string& text, Convert convert) {
  T value;
  return convert(*Scan(text), value) ? std::optional(value) : std::nullopt;
}
std::optional<uint64_t> WholeOf(const std::string& text) {
  return Converted<uint64_t>(text, ToWhole);
}
std::optional<double> DoubleOf(const std::string& text) {
  return Converted<double>(text, ToDouble);
}
std::optional<float> FloatOf(const std::string& text) { return Converted<float>(text, ToFloat); }
std::optional<uint16_t> HalfOf(const std::string& text, const HalfFormat& format) {
  return Converted<uint16_t>(text, [&](const Decimal& decimal, uint16_t& value) {
    return ToHalf(decimal, format, value);
  });
}

TEST_CASE("ScanNumber: takes JSON's numbers and no others", "[gateway][rest]") {
  for (const std::string text : {"0", "-0", "10", "1.5", "-0.0e-0", "1E+5", "123456789.123456789",
                                 "1e99999999999999999999", "0.000000000000000000000000001"}) {
    INFO(text);
    CHECK(Scan(text).has_value());
  }
  for (const std::string text : {"", "-", "+1", "01", "-01", ".5", "1.", "1.e5", "1e", "1e+", "0x1",
                                 "NaN", "Infinity", "1_000", "--1", "1.5.5", " 1"}) {
    INFO(text);
    CHECK(!Scan(text).has_value());
  }
}

TEST_CASE("ToWhole: whole numbers however they are written", "[gateway][rest]") {
  struct Row {
    std::string text;
    std::optional<uint64_t> whole;
  };
  const Row rows[] = {
      {"0", 0},
      {"-0.00", 0},
      {"0e99999999999999999999", 0},
      {"18446744073709551615", 18446744073709551615U},
      {"18446744073709551616", std::nullopt},
      {"184467440737095516150", std::nullopt},
      {"9223372036854775808", 9223372036854775808U},
      {"1.5e1", 15},
      {"20.000000000000000000000000", 20},
      {"100e-2", 1},
      {"1e19", 10000000000000000000U},
      {"1e20", std::nullopt},
      {"1.5", std::nullopt},
      {"1e-1", std::nullopt},
      {"1e99999999999999999999", std::nullopt},
      {"0.1844674407370955161500e20", 18446744073709551615U},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    CHECK(WholeOf(row.text) == row.whole);
  }
}

TEST_CASE("ToDouble and ToFloat: as std::from_chars rounds", "[gateway][rest]") {
  std::mt19937_64 random(1);
  const auto below = [&](uint64_t n) { return random() % n; };
  for (int i = 0; i < 200000; ++i) {
    std::string text = below(2) == 0 ? "-" : "";
    text += std::to_string(random() >> below(64));
    if (below(3) > 0) text += "." + std::to_string(random() >> below(64));
    if (below(3) == 0) text += "e" + std::to_string(static_cast<int>(below(90)) - 45);
    INFO(text);
    double as_double = 0;
    float as_float = 0;
    std::from_chars(text.data(), text.data() + text.size(), as_double);
    const auto result = std::from_chars(text.data(), text.data() + text.size(), as_float);
    REQUIRE(DoubleOf(text) == as_double);
    if (result.ec == std::errc()) REQUIRE(FloatOf(text) == as_float);
  }
}

TEST_CASE("ToFloat: rounds once, where rounding through double is wrong", "[gateway][rest]") {
  // 1 + 2^-24 is the tie between 1 and the next float.
  CHECK(FloatOf("1.000000059604644775390625") == 1.0F);
  CHECK(FloatOf("1.0000000596046447753906251") == std::nextafter(1.0F, 2.0F));
  CHECK(FloatOf("16777217") == 16777216.0F);
  CHECK(FloatOf("3.4028235677973367e38") == std::nullopt);
  CHECK(FloatOf("3.40282356e38") == std::numeric_limits<float>::max());
  CHECK(FloatOf("1e39") == std::nullopt);
  CHECK(FloatOf("-1e999") == std::nullopt);
  CHECK(FloatOf("1e-45") == std::numeric_limits<float>::denorm_min());
  CHECK(std::signbit(*FloatOf("-1e-99")));
  CHECK(DoubleOf("1e-999") == 0);
  CHECK(DoubleOf("0." + std::string(400, '0') + "1e401") == 1);
  CHECK(DoubleOf("1" + std::string(400, '0')) == std::nullopt);
  CHECK(DoubleOf("1" + std::string(400, '0') + "e-400") == 1);
}

TEST_CASE("ToFloat: decided aright around the middle of two floats, by any digits",
          "[gateway][rest]") {
  std::mt19937_64 random(2);
  for (int i = 0; i < 200000; ++i) {
    constexpr uint32_t kFrom = 0x30000000, kTo = 0x60000000;  // 4e-10 to 4e19
    const auto low = std::bit_cast<float>(kFrom + static_cast<uint32_t>(random() % (kTo - kFrom)));
    const double middle =
        (static_cast<double>(low) + std::nextafter(low, std::numeric_limits<float>::max())) / 2;
    std::array<char, 64> digits;
    const auto end =
        std::to_chars(digits.data(), digits.data() + digits.size(), middle,
                      std::chars_format::scientific, 14 + static_cast<int>(random() % 5));
    std::string text(digits.data(), end.ptr);
    // The last digit a little up or down.
    char& last = text[text.find('e') - 1];
    last = static_cast<char>('0' + (last - '0' + random() % 3 + 9) % 10);
    INFO(text);
    float expected = 0;
    std::from_chars(text.data(), text.data() + text.size(), expected);
    REQUIRE(FloatOf(text) == expected);
  }
}

struct NamedFormat {
  std::string name;
  HalfFormat format;
};
const NamedFormat kFormats[] = {{"FP16", kFp16}, {"BF16", kBf16}};

// The exact decimal of a double.
std::string Exact(double value) {
  std::array<char, 1024> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value,
                                 std::chars_format::scientific, 200);
  return std::string(text.data(), end.ptr);
}

TEST_CASE("ToHalf: nearest, ties to even, decided by the decimal itself", "[gateway][rest]") {
  for (const auto& [name, format] : kFormats) {
    for (uint16_t bits = 0; bits + 1 < format.infinity; ++bits) {
      INFO(name << ' ' << bits);
      const double value = HalfToDouble(bits, format);
      const double tie = (value + HalfToDouble(static_cast<uint16_t>(bits + 1), format)) / 2;
      const std::string at = Exact(tie);
      std::string over = at, under = Exact(std::nextafter(tie, 0));
      over.insert(over.find('e'), "1");
      REQUIRE(HalfOf(Exact(value), format) == bits);
      REQUIRE(HalfOf(at, format) == bits + bits % 2);
      REQUIRE(HalfOf(over, format) == bits + 1);
      REQUIRE(HalfOf(under, format) == bits);
      REQUIRE(HalfOf("-" + at, format) == 0x8000 + bits + bits % 2);
    }
  }
  CHECK(HalfOf("65519.99", kFp16) == 0x7BFF);
  CHECK(HalfOf("65520", kFp16) == std::nullopt);
  CHECK(HalfOf("1e39", kBf16) == std::nullopt);
  CHECK(HalfOf("2049", kFp16) == HalfOf("2048", kFp16));
  CHECK(HalfOf("2049.0000000000000000000000001", kFp16) == HalfOf("2050", kFp16));
}

std::string Shortest(double value) {
  std::array<char, 32> text;
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

size_t DigitsOf(const std::string& text) {
  std::string digits;
  for (const char c : text.substr(0, text.find('e'))) {
    if (c >= '0' && c <= '9') digits.push_back(c);
  }
  digits.erase(0, digits.find_first_not_of('0'));
  digits.erase(digits.find_last_not_of('0') + 1);
  return digits.size();
}

TEST_CASE("ShortestHalf: every half reads back, from as few digits as can be", "[gateway][rest]") {
  for (const auto& [name, format] : kFormats) {
    for (uint16_t bits = 1; bits < format.infinity; ++bits) {
      const double shortest = ShortestHalf(bits, format);
      const std::string text = Shortest(shortest);
      INFO(name << ' ' << bits << ' ' << text);
      REQUIRE(HalfOf(text, format) == bits);
      REQUIRE(DigitsOf(text) <= 5);
      REQUIRE(ShortestHalf(bits | 0x8000, format) == -shortest);
    }
  }
  CHECK(Shortest(ShortestHalf(*HalfOf("0.1", kFp16), kFp16)) == "0.1");
  CHECK(Shortest(ShortestHalf(*HalfOf("65504", kFp16), kFp16)) == "65500");
  CHECK(Shortest(ShortestHalf(*HalfOf("3.14159", kBf16), kBf16)) == "3.14");
  CHECK(Shortest(ShortestHalf(1, kBf16)) == "9e-41");
  CHECK(std::signbit(ShortestHalf(0x8000, kFp16)));
}

}  // namespace
}  // namespace torchfleet::gateway::rest
