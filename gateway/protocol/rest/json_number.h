#pragma once
// JSON's numbers, read exactly: whatever the datatype, the bits are those of the
// number that stands in the text, rounded once, to nearest, ties to even.
//
// Most numbers have few digits: one or two exact doubles and one operation on
// them give the answer (Clinger, "How to read floating point numbers
// accurately", 1990); for a float, nearly any digits do. The others go to
// std::from_chars.
//
// Pure functions; thread-safe.

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>

#include "gateway/protocol/rest/half_float.h"

namespace torchfleet::gateway::rest {

// Those that a double holds exactly.
inline constexpr std::array<double, 23> kPowersOfTen = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

// digits × 10^exponent, unless `long_digits`: then only the text has all of it.
struct Decimal {
  uint64_t digits = 0;
  int64_t exponent = 0;
  bool negative = false;
  // More digits than 64 bits surely hold.
  bool long_digits = false;
  // As it stands in the JSON.
  std::string_view text;
};

namespace number_internal {

inline bool IsDigit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

// Eight characters at once, as simdjson and fast_float do; the digits are those
// of a number, the first the most significant.
inline uint64_t EightDigits(uint64_t chars) {
  chars = (chars & 0x0F0F0F0F0F0F0F0F) * 2561 >> 8;
  chars = (chars & 0x00FF00FF00FF00FF) * 6553601 >> 16;
  return (chars & 0x0000FFFF0000FFFF) * 42949672960001 >> 32;
}

inline constexpr std::array<uint64_t, 8> kWholePowersOfTen = {
    1, 10, 100, 1000, 10'000, 100'000, 1'000'000, 10'000'000};

// Appends digits up to the first other character. How many there are varies from
// number to number, so no branch depends on it but for eights.
inline const char* ReadDigits(const char* at, const char* end, uint64_t& digits) {
  while (end - at >= 8) {
    uint64_t chars;
    std::memcpy(&chars, at, 8);
    // The high bit of each byte that is no digit; right up to the first of them.
    const uint64_t others =
        ((chars + 0x4646464646464646) | (chars - 0x3030303030303030)) & 0x8080808080808080;
    if (others != 0) {
      const auto count = static_cast<size_t>(std::countr_zero(others)) / 8;
      // Zeros in front; in two steps, since a shift by 64 is none.
      chars = chars << (8 * (7 - count)) << 8;
      digits = digits * kWholePowersOfTen[count] + EightDigits(chars);
      return at + count;
    }
    digits = digits * 100'000'000 + EightDigits(chars);
    at += 8;
  }
  while (at != end && IsDigit(*at)) digits = digits * 10 + static_cast<uint64_t>(*at++ - '0');
  return at;
}

}  // namespace number_internal

// Reads the exponent behind 'e'; null when there is none.
const char* ScanExponent(const char* at, const char* end, int64_t& exponent);

// The byte after the number that begins at `at`; null when none does.
// Inlined, so that the number stays in registers on its way to the tensor.
[[gnu::always_inline]] inline const char* ScanNumber(const char* at, const char* end,
                                                     Decimal& decimal) {
  using number_internal::IsDigit;
  const char* const begin = at;
  decimal.digits = 0;
  decimal.exponent = 0;
  decimal.negative = at != end && *at == '-';
  if (decimal.negative) ++at;
  const char* const whole = at;
  if (at != end && IsDigit(*at)) decimal.digits = static_cast<uint64_t>(*at++ - '0');
  if (at != end && IsDigit(*at)) at = number_internal::ReadDigits(at, end, decimal.digits);
  auto count = at - whole;
  if (count == 0 || (count > 1 && *whole == '0')) return nullptr;
  if (at != end && *at == '.') {
    const char* const fraction = ++at;
    at = number_internal::ReadDigits(at, end, decimal.digits);
    if (at == fraction) return nullptr;
    decimal.exponent = -(at - fraction);
    count += at - fraction;
  }
  decimal.long_digits = count > 19;
  if (at != end && (*at == 'e' || *at == 'E')) {
    int64_t exponent;
    at = ScanExponent(at + 1, end, exponent);
    if (at == nullptr) return nullptr;
    decimal.exponent += exponent;
  }
  decimal.text = std::string_view(begin, static_cast<size_t>(at - begin));
  return at;
}

// Every To…() says whether the type can hold the number, and sets `value` if so.
// (std::optional would cost more than all the arithmetic: written in parts and
// read as a whole, it stalls the processor.)
bool SlowDouble(Decimal decimal, double& value);
bool SlowFloat(Decimal decimal, float& value);
bool SlowWhole(Decimal decimal, uint64_t& value);

// Where the number lies against `magnitude`, which is the double nearest to its
// magnitude: under it (-1), on it (0), over it (1).
int Excess(const Decimal& decimal, double magnitude);

inline bool IsSimple(const Decimal& decimal) {
  constexpr auto kLimit = static_cast<int64_t>(kPowersOfTen.size());
  return !decimal.long_digits && decimal.digits <= uint64_t{1} << 53 &&
         decimal.exponent > -kLimit && decimal.exponent < kLimit;
}

// The nearest double.
inline bool ToDouble(const Decimal& decimal, double& value) {
  if (!IsSimple(decimal)) return SlowDouble(decimal, value);
  const auto digits = static_cast<double>(static_cast<int64_t>(decimal.digits));
  const double magnitude = decimal.exponent < 0
                               ? digits / kPowersOfTen[static_cast<size_t>(-decimal.exponent)]
                               : digits * kPowersOfTen[static_cast<size_t>(decimal.exponent)];
  value = decimal.negative ? -magnitude : magnitude;
  return true;
}

// 10^-22 to 10^22, each the nearest double.
inline constexpr auto kScales = [] {
  std::array<double, 2 * kPowersOfTen.size() - 1> scales{};
  for (size_t i = 0; i < kPowersOfTen.size(); ++i) {
    scales[kPowersOfTen.size() - 1 + i] = kPowersOfTen[i];
    scales[kPowersOfTen.size() - 1 - i] = 1 / kPowersOfTen[i];
  }
  return scales;
}();

// The nearest float. A double near the number is enough to tell it, unless it lies
// as near to the middle between two floats. Digits rounded to a double (writers of
// floats that go by way of doubles make 17 of them), a rounded power of ten and one
// product are off by at most three units of its last place.
inline bool ToFloat(const Decimal& decimal, float& value) {
  constexpr auto kLimit = static_cast<int64_t>(kPowersOfTen.size());
  if (decimal.long_digits || decimal.exponent <= -kLimit || decimal.exponent >= kLimit) {
    return SlowFloat(decimal, value);
  }
  const double wide = static_cast<double>(decimal.digits) *
                      kScales[static_cast<size_t>(decimal.exponent + kLimit - 1)];
  const auto magnitude = static_cast<float>(wide);
  value = decimal.negative ? -magnitude : magnitude;
  // Of a double, what a float has no room for; the middle; and how near is too near.
  constexpr uint64_t kCut = (uint64_t{1} << 29) - 1, kMiddle = uint64_t{1} << 28, kNear = 4;
  const uint64_t rest = std::bit_cast<uint64_t>(wide) & kCut;
  const bool decided = rest - (kMiddle - kNear) > 2 * kNear;
  // Under the normal floats middles lie closer together.
  const bool normal = (magnitude > std::numeric_limits<float>::min() &&
                       magnitude <= std::numeric_limits<float>::max()) ||
                      decimal.digits == 0;
  return normal && decided ? true : SlowFloat(decimal, value);
}

// The nearest half.
bool ToHalf(const Decimal& decimal, const HalfFormat& format, uint16_t& value);

// The magnitude of a whole number, however it is written (1.5e1, 20.0). Not for
// a fraction or more than 64 bits.
inline bool ToWhole(const Decimal& decimal, uint64_t& value) {
  value = decimal.digits;
  return (decimal.exponent == 0 && !decimal.long_digits) || SlowWhole(decimal, value);
}

}  // namespace torchfleet::gateway::rest
