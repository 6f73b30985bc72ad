#include "gateway/balance/group_judge.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "gateway/balance/concurrency_policy.h"

namespace torchfleet::gateway {
namespace {

// What is left of a sum after a judgement's time: of five seconds, of one.
constexpr double kFade = 0.98, kFadeRecent = 0.9;
// Answers that have a mean.
constexpr double kEnough = 5;

void Count(EndpointHealth& endpoint) {
  EndpointJudgement& judged = endpoint.judgement();
  const EndpointTotals totals = endpoint.totals();
  const EndpointTotals before = std::exchange(judged.counted, totals);
  if (judged.life != endpoint.life()) {
    judged = EndpointJudgement{.life = endpoint.life(), .counted = totals};
    return;
  }
  const auto answers = static_cast<double>(totals.answers - before.answers);
  judged.answers = judged.answers * kFade + answers;
  judged.errors = judged.errors * kFade + static_cast<double>(totals.errors - before.errors);
  judged.last_answers = answers;
  judged.last_latency = static_cast<double>(totals.latency - before.latency);
  judged.recent_answers = judged.recent_answers * kFadeRecent + answers;
  judged.recent_latency =
      judged.recent_latency * kFadeRecent + static_cast<double>(totals.latency - before.latency);
  judged.recent_log_latency =
      judged.recent_log_latency * kFadeRecent +
      static_cast<double>(totals.log_latency - before.log_latency) / EndpointTotals::kLogUnit;
}

OutlierFigures Figures(EndpointHealth& endpoint) {
  const EndpointJudgement& judged = endpoint.judgement();
  OutlierFigures figures;
  figures.ejected = judged.state != EjectionState::kServing;
  figures.silent_in_a_row = endpoint.silent_in_a_row();
  figures.errors_in_a_row = endpoint.errors_in_a_row();
  figures.answers = judged.answers;
  figures.errors = judged.errors;
  figures.recent_answers = judged.recent_answers;
  if (judged.recent_answers > 0) {
    figures.usual_latency = std::exp2(judged.recent_log_latency / judged.recent_answers);
  }
  return figures;
}

absl::Duration Lasts(int ejections) {
  return std::min(GroupJudge::kFirstEjection * std::exp2(std::min(ejections, 10)),
                  GroupJudge::kLongestEjection);
}

void Return(Instant now, EndpointHealth& endpoint) {
  EndpointJudgement& judged = endpoint.judgement();
  judged.state = EjectionState::kServing;
  judged.returned = now;
  // It is judged by what it does from now on.
  judged.answers = judged.errors = 0;
  judged.recent_answers = judged.recent_latency = judged.recent_log_latency = 0;
  endpoint.SetReturned(now);
}

// Peers may have left since: too few would be serving.
void ReturnTooMany(Instant now, std::span<EndpointHealth* const> endpoints) {
  size_t ejected = 0;
  for (EndpointHealth* const endpoint : endpoints) {
    ejected += endpoint->judgement().state != EjectionState::kServing ? 1 : 0;
  }
  for (EndpointHealth* const endpoint : endpoints) {
    if (ejected <= OutlierPolicy::MostEjected(endpoints.size())) return;
    if (endpoint->judgement().state == EjectionState::kServing) continue;
    Return(now, *endpoint);
    --ejected;
  }
}

// The last tenth of a second's, or, where those are few, the last second's.
double Latency(const EndpointJudgement& judged) {
  if (judged.last_answers >= kEnough) return judged.last_latency / judged.last_answers;
  return judged.recent_answers >= 1 ? judged.recent_latency / judged.recent_answers : 0;
}

void SetLimit(Instant now, EndpointHealth& endpoint) {
  EndpointJudgement& judged = endpoint.judgement();
  ConcurrencyFigures figures;
  figures.limit = endpoint.limit();
  figures.outstanding = endpoint.outstanding();
  figures.others = endpoint.others(now);
  figures.capacity = endpoint.capacity();
  figures.latency = Latency(judged);
  figures.baseline = judged.baseline;
  figures.baseline = judged.baseline = ConcurrencyPolicy::NextBaseline(figures);
  // What the last change did shows only in answers to calls made since.
  if (now < judged.limit_stands_until) return;
  const int64_t limit = ConcurrencyPolicy::NextLimit(figures);
  if (limit < figures.limit) {
    judged.limit_stands_until = now + absl::Microseconds(figures.latency);
  }
  endpoint.SetLimit(limit);
}

}  // namespace

GroupJudge::Outcome GroupJudge::Judge(Instant now, std::span<EndpointHealth* const> endpoints) {
  Outcome outcome;
  std::vector<OutlierFigures> figures;
  for (EndpointHealth* const endpoint : endpoints) {
    Count(*endpoint);
    SetLimit(now, *endpoint);
  }
  ReturnTooMany(now, endpoints);
  for (EndpointHealth* const endpoint : endpoints) figures.push_back(Figures(*endpoint));
  const std::vector<OutlierVerdict> verdicts = OutlierPolicy::Judge(figures);
  for (size_t i = 0; i < endpoints.size(); ++i) {
    EndpointJudgement& judged = endpoints[i]->judgement();
    if (judged.state == EjectionState::kEjected && now >= judged.until) {
      judged.state = EjectionState::kProbed;
      endpoints[i]->SetProbed();
      outcome.to_probe.push_back(i);
    }
    if (judged.state != EjectionState::kServing) continue;
    if (verdicts[i] == OutlierVerdict::kNone) {
      const absl::Duration peace = std::max(absl::Seconds(30), Lasts(judged.ejections));
      if (judged.ejections > 0 && now - judged.returned > peace) judged.ejections = 0;
      continue;
    }
    const absl::Duration lasts = Lasts(judged.ejections++);
    judged.state = EjectionState::kEjected;
    judged.until = now + lasts;
    endpoints[i]->SetEjected(verdicts[i], judged.until);
    outcome.ejections.push_back({.endpoint = i, .why = verdicts[i], .lasts = lasts});
  }
  return outcome;
}

void GroupJudge::Probed(Instant now, EndpointHealth& endpoint, bool answered) {
  EndpointJudgement& judged = endpoint.judgement();
  if (judged.state != EjectionState::kProbed) return;
  if (answered) {
    endpoint.Forgive();
    Return(now, endpoint);
  } else {
    judged.state = EjectionState::kEjected;
    judged.until = now + kProbeAgain;
    endpoint.SetStillEjected(judged.until);
  }
}

}  // namespace torchfleet::gateway
