#include "gateway/protocol/rest/half_float.h"

#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

#include "gateway/protocol/rest/json_number.h"

namespace torchfleet::gateway::rest {
namespace {

constexpr int kDoubleFraction = 52;
constexpr int kDoubleBias = 1023;

// digits × 10^exponent, correctly rounded.
double Scaled(double digits, int exponent) {
  if (exponent >= 0 && exponent < static_cast<int>(kPowersOfTen.size())) {
    return digits * kPowersOfTen[static_cast<size_t>(exponent)];
  }
  if (exponent < 0 && -exponent < static_cast<int>(kPowersOfTen.size())) {
    return digits / kPowersOfTen[static_cast<size_t>(-exponent)];
  }
  fmt::memory_buffer text;
  fmt::format_to(std::back_inserter(text), "{}e{}", static_cast<int64_t>(digits), exponent);
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

double HalfToDouble(uint16_t bits, const HalfFormat& format) {
  const int fraction_bits = format.precision - 1;
  const uint16_t magnitude = bits & 0x7FFF;
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (magnitude == format.infinity) return sign * std::numeric_limits<double>::infinity();
  if (magnitude > format.infinity) return std::numeric_limits<double>::quiet_NaN();
  const int exponent = magnitude >> fraction_bits;
  const int fraction = magnitude & ((1 << fraction_bits) - 1);
  if (exponent == 0) {
    return sign * std::ldexp(fraction, format.min_exponent - fraction_bits);
  }
  return sign * std::ldexp(fraction + (1 << fraction_bits),
                           format.min_exponent - fraction_bits + exponent - 1);
}

std::optional<RoundedHalf> RoundToHalf(double magnitude, const HalfFormat& format) {
  const uint64_t bits = std::bit_cast<uint64_t>(magnitude);
  const int exponent = static_cast<int>(bits >> kDoubleFraction) - kDoubleBias;
  uint64_t significand = bits & ((uint64_t{1} << kDoubleFraction) - 1);
  // Doubles under the normal range are far under half of the least half.
  if (exponent > -kDoubleBias) significand |= uint64_t{1} << kDoubleFraction;
  const int below = exponent < format.min_exponent ? format.min_exponent - exponent : 0;
  const int shift = kDoubleFraction - (format.precision - 1) + below;
  if (shift > kDoubleFraction + 1) return RoundedHalf{};
  const uint64_t half_unit = uint64_t{1} << (shift - 1);
  const uint64_t rest = significand & ((half_unit << 1) - 1);
  uint64_t rounded = significand >> shift;
  if (below == 0) {
    // The hidden bit counts as one step of the exponent.
    rounded += static_cast<uint64_t>(exponent - format.min_exponent) << (format.precision - 1);
  }
  if (rounded >= format.infinity) return std::nullopt;
  return RoundedHalf{.bits = static_cast<uint16_t>(rounded),
                     .rest = rest < half_unit ? -1 : (rest > half_unit ? 1 : 0)};
}

double ShortestHalf(uint16_t bits, const HalfFormat& format) {
  const uint16_t magnitude = bits & 0x7FFF;
  const double value = HalfToDouble(magnitude, format);
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (magnitude == 0) return sign * 0.0;
  const int leading = static_cast<int>(std::floor(std::log10(value)));
  // Five digits tell any two numbers of either format apart.
  for (int exponent = leading; exponent >= leading - 5; --exponent) {
    const double digits = std::floor(Scaled(1, -exponent) * value);
    double best = -1;
    for (const double candidate : {Scaled(digits, exponent), Scaled(digits + 1, exponent)}) {
      const auto rounded = RoundToHalf(candidate, format);
      const bool reads_back = rounded && rounded->Nearest(0) == magnitude;
      if (reads_back && (best < 0 || std::abs(candidate - value) < std::abs(best - value))) {
        best = candidate;
      }
    }
    if (best >= 0) return sign * best;
  }
  return sign * value;
}

}  // namespace torchfleet::gateway::rest
