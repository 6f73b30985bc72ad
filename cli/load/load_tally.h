#pragma once
// What became of a load's calls. Pure.

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "base/clock.h"
#include "cli/load/caller.h"
#include "cli/load/histogram.h"

namespace torchfleet::cli {

struct LoadTally {
  struct Failure {
    uint64_t count = 0;
    // What was said of the first.
    std::string message;
  };

  // Of calls that were answered well, from when each was to begin.
  Histogram latency;
  uint64_t ok = 0;
  // By code. Answers that are another call's, or not as the first to the same
  // request was, count as `wrong answer`.
  std::map<std::string, Failure> failures;
  // Calls that began over a millisecond after their time: the generator was busy.
  uint64_t late = 0;
  // Arrivals for which nothing was sent: as many as allowed were in flight.
  uint64_t not_begun = 0;
  // Those of the warm-up too.
  uint64_t all_calls = 0;
  // What calls a second are of: from the warm-up's end to the time's, or, where
  // something else ended it, to the last call's end. Zero before a call counts.
  Instant window_begin, window_end;

  // But for the codes that are no surprise.
  uint64_t failed(const std::set<std::string>& expected = {}) const {
    uint64_t sum = 0;
    for (const auto& [code, failure] : failures) {
      if (!expected.contains(code)) sum += failure.count;
    }
    return sum;
  }
  absl::Duration window() const {
    return std::max(window_end - window_begin, absl::ZeroDuration());
  }
  void AddFailure(const std::string& code, uint64_t count, const std::string& message) {
    Failure& failure = failures[code];
    if (failure.count == 0) failure.message = message;
    failure.count += count;
  }
  void Add(const LoadTally& other) {
    latency.Add(other.latency);
    ok += other.ok;
    for (const auto& [code, failure] : other.failures) {
      AddFailure(code, failure.count, failure.message);
    }
    late += other.late;
    not_begun += other.not_begun;
    all_calls += other.all_calls;
    if (other.window_begin == Instant()) return;
    if (window_begin == Instant()) window_begin = other.window_begin;
    window_begin = std::min(window_begin, other.window_begin);
    window_end = std::max(window_end, other.window_end);
  }
};

}  // namespace torchfleet::cli
