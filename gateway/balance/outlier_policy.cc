#include "gateway/balance/outlier_policy.h"

#include <algorithm>
#include <cstddef>

namespace torchfleet::gateway {
namespace {

// Of the answers and errors of all but one.
double PeersErrorShare(double answers, double errors) {
  return answers + errors > 0 ? errors / (answers + errors) : 1;
}

bool Failing(const OutlierFigures& one, double peers_answers, double peers_errors) {
  const double peers_share = PeersErrorShare(peers_answers, peers_errors);
  if (one.errors_in_a_row >= OutlierPolicy::kInARow && peers_share < 0.5) return true;
  const double calls = one.answers + one.errors;
  return calls >= OutlierPolicy::kEnoughCalls && peers_answers >= OutlierPolicy::kEnoughCalls &&
         one.errors / calls >=
             OutlierPolicy::kErrorFactor * peers_share + OutlierPolicy::kErrorShare;
}

// Whose latency says something.
bool Telling(const OutlierFigures& one) {
  return !one.ejected && one.recent_answers >= OutlierPolicy::kEnoughAnswers;
}

// Of all latencies but the one at `skip`; the lower of two in the middle. 0 for none.
double PeersMedian(std::span<const OutlierFigures> endpoints, size_t skip,
                   std::vector<double>& room) {
  room.clear();
  for (size_t i = 0; i < endpoints.size(); ++i) {
    if (i != skip && Telling(endpoints[i])) room.push_back(endpoints[i].usual_latency);
  }
  if (room.empty()) return 0;
  const auto middle = room.begin() + static_cast<std::ptrdiff_t>((room.size() - 1) / 2);
  std::nth_element(room.begin(), middle, room.end());
  return *middle;
}

}  // namespace

std::vector<OutlierVerdict> OutlierPolicy::Judge(std::span<const OutlierFigures> endpoints) {
  std::vector<OutlierVerdict> verdicts(endpoints.size(), OutlierVerdict::kNone);
  double answers = 0, errors = 0;
  size_t ejected = 0;
  for (const OutlierFigures& one : endpoints) {
    answers += one.answers;
    errors += one.errors;
    ejected += one.ejected ? 1 : 0;
  }
  size_t left = MostEjected(endpoints.size());
  left -= std::min(left, ejected);
  const auto eject = [&](size_t i, OutlierVerdict verdict) {
    verdicts[i] = verdict;
    --left;
  };
  for (size_t i = 0; i < endpoints.size() && left > 0; ++i) {
    if (!endpoints[i].ejected && endpoints[i].silent_in_a_row >= kInARow) {
      eject(i, OutlierVerdict::kSilent);
    }
  }
  for (size_t i = 0; i < endpoints.size() && left > 0; ++i) {
    const OutlierFigures& one = endpoints[i];
    if (one.ejected || verdicts[i] != OutlierVerdict::kNone) continue;
    if (Failing(one, answers - one.answers, errors - one.errors)) {
      eject(i, OutlierVerdict::kFailing);
    }
  }
  // Of the whole, whatever the others were ejected for.
  size_t slow_left = MostSlow(endpoints.size());
  slow_left -= std::min(slow_left, ejected);
  std::vector<double> room;
  std::vector<size_t> slow;
  for (size_t i = 0; i < endpoints.size(); ++i) {
    const OutlierFigures& one = endpoints[i];
    if (!Telling(one) || verdicts[i] != OutlierVerdict::kNone) continue;
    const double median = PeersMedian(endpoints, i, room);
    if (median > 0 && one.usual_latency > kSlowFactor * median &&
        one.usual_latency > median + kSlowMicroseconds) {
      slow.push_back(i);
    }
  }
  std::sort(slow.begin(), slow.end(), [&](size_t a, size_t b) {
    return endpoints[a].usual_latency > endpoints[b].usual_latency;
  });
  for (const size_t i : slow) {
    if (left == 0 || slow_left == 0) break;
    eject(i, OutlierVerdict::kSlow);
    --slow_left;
  }
  return verdicts;
}

}  // namespace torchfleet::gateway
