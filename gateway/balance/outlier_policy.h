#pragma once
// Decides which of a model's endpoints are so much worse than their peers that
// they had better get no calls.
//
// Failing: it gave several calls in a row no answer, or several in a row an error
// where its peers give answers, or a larger share of errors than they. Slow: its
// answers take several times as long as those of the median of its peers. What
// all of them do is nobody's fault: a model that fails on what callers send
// ejects none.
//
// Never more than half of the endpoints are ejected, and for slowness never more
// than a quarter (or one): if more are slow they are another kind of machine, and
// choice by latency is for those.
//
// Pure.

#include <cstdint>
#include <span>
#include <vector>

namespace torchfleet::gateway {

struct OutlierFigures {
  bool ejected = false;
  int silent_in_a_row = 0, errors_in_a_row = 0;
  // Of the last seconds, fading.
  double answers = 0, errors = 0;
  // Of the last second: how many answers, and their geometric mean in
  // microseconds, which single stragglers hardly move.
  double recent_answers = 0, usual_latency = 0;
};

enum class OutlierVerdict : uint8_t { kNone, kSilent, kFailing, kSlow };

class OutlierPolicy {
 public:
  static constexpr int kInARow = 5;
  // Fewer calls tell nothing of shares, fewer answers nothing of latency.
  static constexpr double kEnoughCalls = 10, kEnoughAnswers = 5;
  static constexpr double kSlowFactor = 3, kSlowMicroseconds = 1000;
  static constexpr double kErrorFactor = 3, kErrorShare = 0.2;

  // How many of `count` may be ejected, and of those for slowness.
  static size_t MostEjected(size_t count) { return count / 2; }
  static size_t MostSlow(size_t count) { return count < 2 ? 0 : count < 8 ? 1 : count / 4; }

  // A verdict for each; kNone for those that are ejected already.
  static std::vector<OutlierVerdict> Judge(std::span<const OutlierFigures> endpoints);
};

}  // namespace torchfleet::gateway
