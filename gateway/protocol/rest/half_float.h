#pragma once
// FP16 and BF16: rounding to them, and the shortest decimals that name them.
//
// Pure functions; thread-safe.

#include <cstdint>
#include <optional>

namespace torchfleet::gateway::rest {

// A binary floating-point format of 16 bits.
struct HalfFormat {
  // Of the significand, the hidden one included.
  int precision;
  // Of the smallest normal number.
  int min_exponent;
  // The bits of infinity.
  uint16_t infinity;
};

inline constexpr HalfFormat kFp16 = {.precision = 11, .min_exponent = -14, .infinity = 0x7C00};
inline constexpr HalfFormat kBf16 = {.precision = 8, .min_exponent = -126, .infinity = 0x7F80};

// Exact. NaN and infinities stay what they are.
double HalfToDouble(uint16_t bits, const HalfFormat& format);

// A magnitude rounded down, and what was cut off.
struct RoundedHalf {
  uint16_t bits = 0;
  // The rest against half a unit of the last place: -1, 0, 1.
  int rest = -1;

  // To nearest, where `excess` tells whether the true number lies under (-1),
  // on (0) or over (1) the double that was rounded; a tie goes to even.
  uint16_t Nearest(int excess) const {
    const int against_tie = rest != 0 ? rest : excess;
    return static_cast<uint16_t>(bits + (against_tie > 0 || (against_tie == 0 && bits % 2 == 1)));
  }
};

// Of a finite magnitude, not negative. Nothing when it is over the largest
// number even rounded down.
std::optional<RoundedHalf> RoundToHalf(double magnitude, const HalfFormat& format);

// The double with the fewest decimal digits among those that round to the
// half `bits`, and of these the nearest; `bits` is finite.
double ShortestHalf(uint16_t bits, const HalfFormat& format);

}  // namespace torchfleet::gateway::rest
