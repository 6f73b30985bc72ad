#include "gateway/protocol/rest/json_number.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace torchfleet::gateway::rest {
namespace {

using number_internal::IsDigit;

// Larger exponents are cut to this: nothing is told apart up there.
constexpr int64_t kMaxExponent = int64_t{1} << 40;

// The significant digits of a number one by one, without zeros in front.
class Digits {
 public:
  explicit Digits(std::string_view text) : text_(text.substr(0, text.find_first_of("eE"))) {
    while (!text_.empty() && (text_.front() == '0' || !IsDigit(text_.front()))) {
      text_.remove_prefix(1);
    }
  }
  // Zero for ever when there are no more.
  int Next() {
    while (!text_.empty() && !IsDigit(text_.front())) text_.remove_prefix(1);
    if (text_.empty()) return 0;
    const int digit = text_.front() - '0';
    text_.remove_prefix(1);
    return digit;
  }
  bool AtEnd() const { return text_.empty(); }

 private:
  std::string_view text_;
};

int Sign(double value) { return value > 0 ? 1 : (value < 0 ? -1 : 0); }

// Whether the number is over one, by the place of its first digit that is not
// zero; only asked for numbers far from one.
bool IsLarge(const Decimal& decimal) {
  const std::string_view text = decimal.text.substr(0, decimal.text.find_first_of("eE"));
  const size_t point = std::min(text.find('.'), text.size());
  const size_t first = text.find_first_of("123456789");
  const size_t fraction = point == text.size() ? 0 : text.size() - point - 1;
  // `exponent` belongs to the last digit; move it to the point, then to `first`.
  const int64_t at_point = decimal.exponent + static_cast<int64_t>(fraction);
  const auto place = static_cast<int64_t>(point) - static_cast<int64_t>(first);
  return at_point + place > 0;
}

}  // namespace

const char* ScanExponent(const char* at, const char* end, int64_t& exponent) {
  const bool negative = at != end && *at == '-';
  if (at != end && (*at == '-' || *at == '+')) ++at;
  const char* const first = at;
  exponent = 0;
  for (; at != end && IsDigit(*at); ++at) {
    exponent = std::min(exponent * 10 + (*at - '0'), kMaxExponent);
  }
  if (at == first) return nullptr;
  if (negative) exponent = -exponent;
  return at;
}

bool SlowDouble(Decimal decimal, double& value) {
  const char* const begin = decimal.text.data();
  const auto result = std::from_chars(begin, begin + decimal.text.size(), value);
  if (result.ec == std::errc() && !std::isinf(value)) return true;
  value = decimal.negative ? -0.0 : 0.0;
  return !IsLarge(decimal);
}

bool SlowFloat(Decimal decimal, float& value) {
  const char* const begin = decimal.text.data();
  const auto result = std::from_chars(begin, begin + decimal.text.size(), value);
  if (result.ec == std::errc() && !std::isinf(value)) return true;
  value = decimal.negative ? -0.0F : 0.0F;
  return !IsLarge(decimal);
}

int Excess(const Decimal& decimal, double magnitude) {
  if (IsSimple(decimal)) {
    // Both factors are exact, and the sign of a fused operation is.
    const auto digits = static_cast<double>(decimal.digits);
    return decimal.exponent < 0
               ? -Sign(std::fma(magnitude, kPowersOfTen[static_cast<size_t>(-decimal.exponent)],
                                -digits))
               : Sign(std::fma(digits, kPowersOfTen[static_cast<size_t>(decimal.exponent)],
                               -magnitude));
  }
  // Digit by digit. A tie between two halves has at most 12 bits, so its lowest
  // stands for a power of two that tells how many decimal digits there are; and
  // none is a power of ten, so both numbers begin at the same place.
  const int lowest = std::ilogb(magnitude) - 11;
  const int precision = lowest < 0 ? 12 + -lowest * 7 / 10 : 40;
  std::array<char, 128> text;
  const auto written = std::to_chars(text.data(), text.data() + text.size(), magnitude,
                                     std::chars_format::scientific, precision);
  Digits theirs(std::string_view(text.data(), static_cast<size_t>(written.ptr - text.data())));
  Digits ours(decimal.text.substr(decimal.negative));
  while (!ours.AtEnd() || !theirs.AtEnd()) {
    const int difference = ours.Next() - theirs.Next();
    if (difference != 0) return difference < 0 ? -1 : 1;
  }
  return 0;
}

bool ToHalf(const Decimal& decimal, const HalfFormat& format, uint16_t& value) {
  double wide;
  if (!ToDouble(decimal, wide)) return false;
  const double magnitude = std::abs(wide);
  const auto rounded = RoundToHalf(magnitude, format);
  if (!rounded) return false;
  const uint16_t bits = rounded->Nearest(rounded->rest == 0 ? Excess(decimal, magnitude) : 0);
  value = static_cast<uint16_t>(bits | (decimal.negative ? 0x8000 : 0));
  return bits < format.infinity;
}

bool SlowWhole(Decimal decimal, uint64_t& value) {
  std::string_view text = decimal.text.substr(0, decimal.text.find_first_of("eE"));
  // Zeros at the end of the digits belong to the exponent.
  int64_t exponent = decimal.exponent;
  while (!text.empty() && !(IsDigit(text.back()) && text.back() != '0')) {
    if (text.back() == '0') ++exponent;
    text.remove_suffix(1);
  }
  value = 0;
  for (const char c : text) {
    if (!IsDigit(c)) continue;
    if (__builtin_mul_overflow(value, 10, &value) ||
        __builtin_add_overflow(value, static_cast<uint64_t>(c - '0'), &value)) {
      return false;
    }
  }
  if (value == 0) return true;
  if (exponent < 0) return false;
  for (; exponent > 0; --exponent) {
    if (__builtin_mul_overflow(value, 10, &value)) return false;
  }
  return true;
}

}  // namespace torchfleet::gateway::rest
