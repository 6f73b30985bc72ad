#include "gateway/balance/endpoint_health.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace torchfleet::gateway {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
// What was reported counts for less and less until then.
constexpr int64_t kReportHolds = 1'000'000'000;
// Latency that rises is believed sooner than one that falls.
// What was long ago is half believed after this, so that who was slow once is
// tried again.
constexpr double kForgetting = 5e9;
constexpr double kRising = 0.3e9, kFalling = 1e9;
// No worker need be left alone for longer, whatever it says.
constexpr absl::Duration kLongestPause = absl::Milliseconds(100);
constexpr double kLeastShare = 0.1;

int64_t Nanos(absl::Duration duration) { return absl::ToInt64Nanoseconds(duration); }
int64_t Nanos(Instant at) { return Nanos(at.since_start()); }

bool Within(int64_t at, int64_t now, int64_t duration) { return at != 0 && now - at < duration; }

// 0 is kept for never.
int64_t Moment(Instant now) { return std::max<int64_t>(1, Nanos(now)); }

// For a cell that nobody else writes: nothing can come between.
void Raise(std::atomic<uint32_t>& counter) { counter.store(counter.load(kRelaxed) + 1, kRelaxed); }

}  // namespace

EndpointHealth::EndpointHealth(size_t loops, Instant since)
    : cells_(std::max<size_t>(1, loops)),
      shown_(cells_.size()),
      since_(Nanos(since)),
      limit_(kHighestLimit) {}

void EndpointHealth::Begin(size_t loop, AttemptKind kind) {
  Cell(loop).outstanding.fetch_add(1, kRelaxed);
  if (kind == AttemptKind::kRetry) Raise(Shown(loop).retries);
  if (kind == AttemptKind::kHedge) Raise(Shown(loop).hedges);
}

int64_t EndpointHealth::outstanding() const {
  int64_t sum = 0;
  for (const LoopCell& cell : cells_) sum += cell.outstanding.load(kRelaxed);
  return sum;
}

void EndpointHealth::Answered(size_t loop, Instant now, absl::Duration latency) {
  Spoke();
  const int64_t nanos = std::max<int64_t>(1000, Nanos(latency));
  LoopCell& cell = Cell(loop);
  const auto micros = static_cast<uint64_t>(nanos / 1000);
  cell.answers.fetch_add(1, kRelaxed);
  cell.latency.fetch_add(micros, kRelaxed);
  const float log_micros = std::log2(static_cast<float>(micros));
  cell.log_latency.fetch_add(static_cast<uint64_t>(log_micros * EndpointTotals::kLogUnit),
                             kRelaxed);
  Raise(Shown(loop).latencies[LatencyBuckets::Of(log_micros)]);
  if (errors_in_a_row_.load(kRelaxed) != 0) errors_in_a_row_.store(0, kRelaxed);
  Observe(Moment(now), nanos);
}

void EndpointHealth::Observe(int64_t now, int64_t latency) {
  const auto old = static_cast<double>(latency_.load(kRelaxed));
  const auto sample = static_cast<double>(latency);
  double next = sample;
  if (old > 0) {
    const auto passed = static_cast<double>(now - observed_.load(kRelaxed));
    const double slowness = sample > old ? kRising : kFalling;
    next = old + (sample - old) * std::clamp(passed / (passed + slowness), 0.001, 1.0);
  }
  latency_.store(static_cast<int64_t>(next), kRelaxed);
  observed_.store(now, kRelaxed);
}

void EndpointHealth::Erred(size_t loop) {
  Spoke();
  Cell(loop).errors.fetch_add(1, kRelaxed);
  errors_in_a_row_.fetch_add(1, kRelaxed);
}

void EndpointHealth::FoundFault(size_t loop) {
  Spoke();
  Raise(Shown(loop).invalid);
}

// Read first: a line that all loops only read stays with each of them.
void EndpointHealth::Spoke() {
  if (silent_in_a_row_.load(kRelaxed) != 0) silent_in_a_row_.store(0, kRelaxed);
  if (failed_.load(kRelaxed) != 0) failed_.store(0, kRelaxed);
  if (unreachable_.load(kRelaxed) != 0) unreachable_.store(0, kRelaxed);
}

void EndpointHealth::Refused(Instant now, absl::Duration pause) {
  Spoke();
  refused_.fetch_add(1, kRelaxed);
  paused_until_.store(Moment(now) + Nanos(std::min(pause, kLongestPause)), kRelaxed);
}

void EndpointHealth::Silent(Instant now, absl::Duration elapsed) {
  silent_.fetch_add(1, kRelaxed);
  if (Nanos(elapsed) > latency_.load(kRelaxed)) Observe(Moment(now), Nanos(elapsed));
  if (silent_in_a_row_.fetch_add(1, kRelaxed) + 1 >= kSilentInARow) {
    failed_.store(Moment(now), kRelaxed);
  }
}

void EndpointHealth::Lost(Instant now) {
  lost_.fetch_add(1, kRelaxed);
  failed_.store(Moment(now), kRelaxed);
}

void EndpointHealth::Unreachable(Instant now) {
  Lost(now);
  unreachable_.store(Moment(now), kRelaxed);
}

void EndpointHealth::Reported(Instant now, uint32_t requests, uint32_t capacity) {
  const auto ours = static_cast<uint64_t>(std::max<int64_t>(0, outstanding()));
  others_.store(requests > ours ? static_cast<uint32_t>(requests - ours) : 0, kRelaxed);
  if (capacity_.load(kRelaxed) != capacity) capacity_.store(capacity, kRelaxed);
  reported_.store(Moment(now), kRelaxed);
}

double EndpointHealth::others(Instant now) const {
  const uint32_t others = others_.load(kRelaxed);
  if (others == 0) return 0;
  const int64_t age = Nanos(now) - reported_.load(kRelaxed);
  if (age >= kReportHolds) return 0;
  return others * (1 - static_cast<double>(std::max<int64_t>(0, age)) / kReportHolds);
}

void EndpointHealth::Renewed(Instant now) {
  reported_.store(0, kRelaxed);
  Forgive();
  life_.fetch_add(1, kRelaxed);
  SetLimit(kHighestLimit);
  SetReturned(now);
}

void EndpointHealth::Forgive() {
  latency_.store(0, kRelaxed);
  paused_until_.store(0, kRelaxed);
  errors_in_a_row_.store(0, kRelaxed);
  Spoke();
}

void EndpointHealth::SetEjected(OutlierVerdict why, Instant until) {
  ejections_.fetch_add(1, kRelaxed);
  why_.store(why, kRelaxed);
  SetStillEjected(until);
  standing_.store(why == OutlierVerdict::kSlow ? Standing::kSlow : Standing::kAside, kRelaxed);
}

void EndpointHealth::SetStillEjected(Instant until) {
  ejected_until_.store(Nanos(until), kRelaxed);
  state_.store(EjectionState::kEjected, kRelaxed);
}

void EndpointHealth::SetReturned(Instant now) {
  since_.store(Nanos(now), kRelaxed);
  state_.store(EjectionState::kServing, kRelaxed);
  why_.store(OutlierVerdict::kNone, kRelaxed);
  standing_.store(Standing::kGood, kRelaxed);
}

BalanceCandidate EndpointHealth::Candidate(Instant at) const {
  const int64_t now = Nanos(at);
  BalanceCandidate candidate;
  const int64_t ours = outstanding();
  candidate.standing = standing();
  if (Within(failed_.load(kRelaxed), now, Nanos(kLately)) || now < paused_until_.load(kRelaxed)) {
    candidate.standing = Standing::kAside;
  }
  candidate.full = ours >= limit();
  candidate.load = static_cast<double>(ours) + others(at);
  const auto silence = static_cast<double>(std::max<int64_t>(0, now - observed_.load(kRelaxed)));
  candidate.latency =
      static_cast<double>(latency_.load(kRelaxed)) * kForgetting / (kForgetting + silence);
  candidate.capacity = std::max(1U, capacity());
  candidate.weight = candidate.capacity;
  const int64_t age = now - since_.load(kRelaxed);
  if (age < Nanos(kSlowStart)) {
    candidate.weight *=
        std::max(kLeastShare, static_cast<double>(age) / static_cast<double>(Nanos(kSlowStart)));
  }
  return candidate;
}

bool EndpointHealth::UnreachableLately(Instant now) const {
  return Within(unreachable_.load(kRelaxed), Nanos(now), Nanos(kLately));
}

EndpointTotals EndpointHealth::totals() const {
  EndpointTotals totals;
  for (const LoopCell& cell : cells_) {
    totals.answers += cell.answers.load(kRelaxed);
    totals.errors += cell.errors.load(kRelaxed);
    totals.latency += cell.latency.load(kRelaxed);
    totals.log_latency += cell.log_latency.load(kRelaxed);
  }
  return totals;
}

void EndpointHealth::RememberLatency() {
  const uint64_t answers = totals().answers;
  if (std::exchange(remembered_, answers) == answers && recent_.empty()) return;
  RecentLatency::Totals totals{};
  for (const ShownCell& cell : shown_) {
    for (size_t i = 0; i < totals.size(); ++i) totals[i] += cell.latencies[i].load(kRelaxed);
  }
  recent_.Add(totals);
}

EndpointFigures EndpointHealth::figures(Instant now) const {
  EndpointFigures figures;
  EndpointCounts& counts = figures.counts;
  uint64_t micros = 0;
  for (const LoopCell& cell : cells_) {
    counts.answered += cell.answers.load(kRelaxed);
    counts.failed += cell.errors.load(kRelaxed);
    micros += cell.latency.load(kRelaxed);
  }
  for (const ShownCell& cell : shown_) {
    counts.invalid += cell.invalid.load(kRelaxed);
    counts.retries += cell.retries.load(kRelaxed);
    counts.hedges += cell.hedges.load(kRelaxed);
  }
  counts.latency = absl::Microseconds(micros);
  counts.refused = refused_.load(kRelaxed);
  counts.lost = lost_.load(kRelaxed);
  counts.silent = silent_.load(kRelaxed);
  counts.ejections = ejections_.load(kRelaxed);
  figures.late = recent_.Get();
  figures.outstanding = outstanding();
  figures.limit = limit();
  figures.others = others(now);
  figures.capacity = capacity();
  figures.state = state_.load(kRelaxed);
  if (figures.state == EjectionState::kServing) return figures;
  figures.why = why_.load(kRelaxed);
  figures.left =
      absl::Nanoseconds(std::max<int64_t>(0, ejected_until_.load(kRelaxed) - Nanos(now)));
  return figures;
}

}  // namespace torchfleet::gateway
