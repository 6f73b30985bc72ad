#pragma once
// What a gateway knows of one endpoint: calls outstanding, how long answers take,
// what it last said of its load, and what was decided about it.
//
// Every loop counts in a cell of its own, which no other writes; sums are of all
// cells. What loops share (latency, failures) is written without a lock, and a
// reader may see one half of a change before the other: it decides a little
// worse once.
//
// Pure: time comes in as a value. Thread-safe.

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/latency_buckets.h"
#include "gateway/balance/balance_policy.h"
#include "gateway/balance/endpoint_figures.h"
#include "gateway/balance/endpoint_judgement.h"
#include "gateway/balance/outlier_policy.h"
#include "gateway/balance/recent_latency.h"

namespace torchfleet::gateway {

// After a failure others come first for this long.
inline constexpr absl::Duration kLately = absl::Seconds(5);
// A newcomer's share grows from a tenth to the whole in this time.
inline constexpr absl::Duration kSlowStart = absl::Seconds(10);
// Attempts in a row without an answer that put an endpoint aside.
inline constexpr int kSilentInARow = 5;

// Why a call is tried at an endpoint: it is the first, another one has failed, or
// another one takes long.
enum class AttemptKind : uint8_t { kFirst, kRetry, kHedge };

class EndpointHealth {
 public:
  // `since`: when it came.
  EndpointHealth(size_t loops, Instant since);

  // An attempt begins and ends. `loop`: whose cell counts it.
  void Begin(size_t loop, AttemptKind kind = AttemptKind::kFirst);
  void End(size_t loop) { Cell(loop).outstanding.fetch_sub(1, std::memory_order_relaxed); }
  int64_t outstanding() const;

  // How an attempt ended, one of these:
  // the model answered;
  void Answered(size_t loop, Instant now, absl::Duration latency);
  // the model failed on it;
  void Erred(size_t loop);
  // the worker found fault with the request;
  void FoundFault(size_t loop);
  // the worker took no call, and wants to be left alone for a while;
  void Refused(Instant now, absl::Duration pause);
  // no answer came in a time that is long for this model;
  void Silent(Instant now, absl::Duration elapsed);
  // the connection broke;
  void Lost(Instant now);
  // there is no connection to be had.
  void Unreachable(Instant now);

  // It has given a sign of life.
  void Spoke();

  // What the worker said beside an answer. Its calls that are not ours are
  // believed in for a second.
  void Reported(Instant now, uint32_t requests, uint32_t capacity);

  // Another process has taken its place.
  void Renewed(Instant now);

  // As a choice sees it.
  BalanceCandidate Candidate(Instant now) const;
  // Whether the last attempt to reach it failed, lately.
  bool UnreachableLately(Instant now) const;

  // --- the judge's ---
  EndpointTotals totals() const;
  int silent_in_a_row() const { return silent_in_a_row_.load(std::memory_order_relaxed); }
  int errors_in_a_row() const { return errors_in_a_row_.load(std::memory_order_relaxed); }
  uint32_t capacity() const { return capacity_.load(std::memory_order_relaxed); }
  // Calls that are not ours, as of now.
  double others(Instant now) const;
  // Grows with each Renewed.
  uint64_t life() const { return life_.load(std::memory_order_relaxed); }
  int64_t limit() const { return limit_.load(std::memory_order_relaxed); }
  void SetLimit(int64_t limit) { limit_.store(limit, std::memory_order_relaxed); }
  Standing standing() const { return standing_.load(std::memory_order_relaxed); }
  void SetEjected(OutlierVerdict why, Instant until);
  // Its time is over: it is asked whether it is well; and it was not, so it is out
  // for longer.
  void SetProbed() { state_.store(EjectionState::kProbed, std::memory_order_relaxed); }
  void SetStillEjected(Instant until);
  // It takes calls again, few at first.
  void SetReturned(Instant now);
  // What it failed at and how long it took is forgotten.
  void Forgive();
  EndpointJudgement& judgement() { return judgement_; }

  // --- for whoever looks ---
  EndpointFigures figures(Instant now) const;
  // A second has passed. One caller.
  void RememberLatency();

 private:
  // What one loop counts, on a cache line that no other writes.
  struct alignas(64) LoopCell {
    std::atomic<int64_t> outstanding = 0;
    std::atomic<uint64_t> answers = 0;
    std::atomic<uint64_t> errors = 0;
    // Of answers, in microseconds.
    std::atomic<uint64_t> latency = 0;
    // Of answers' binary logarithms of microseconds, in 1024ths.
    std::atomic<uint64_t> log_latency = 0;
  };
  // The same, but nothing that a choice reads: a choice reads the cells of all loops,
  // and they are to lie together. Both take 256 bytes, of 10,000 workers 2.5 MiB for
  // each loop.
  struct alignas(64) ShownCell {
    std::atomic<uint32_t> retries = 0, hedges = 0, invalid = 0;
    // Answers by latency; one that is full begins again.
    std::array<std::atomic<uint32_t>, LatencyBuckets::kCount> latencies = {};
  };
  static_assert(sizeof(LoopCell) + sizeof(ShownCell) == 256);

  LoopCell& Cell(size_t loop) { return cells_[loop < cells_.size() ? loop : 0]; }
  ShownCell& Shown(size_t loop) { return shown_[loop < shown_.size() ? loop : 0]; }
  void Observe(int64_t now, int64_t latency);

  std::vector<LoopCell> cells_;
  std::vector<ShownCell> shown_;
  // Times and durations in nanoseconds on the clock; 0 for never.
  std::atomic<int64_t> latency_ = 0, observed_ = 0;
  std::atomic<int64_t> since_, failed_ = 0, unreachable_ = 0, paused_until_ = 0;
  std::atomic<int> silent_in_a_row_ = 0, errors_in_a_row_ = 0;
  std::atomic<int64_t> reported_ = 0;
  std::atomic<uint32_t> others_ = 0, capacity_ = 0;
  std::atomic<int64_t> limit_;
  std::atomic<Standing> standing_ = Standing::kGood;
  std::atomic<uint64_t> life_ = 0;
  EndpointJudgement judgement_;

  // What is only shown. Failures are rare enough for counters that loops share.
  std::atomic<uint64_t> refused_ = 0, lost_ = 0, silent_ = 0, ejections_ = 0;
  std::atomic<EjectionState> state_ = EjectionState::kServing;
  std::atomic<OutlierVerdict> why_ = OutlierVerdict::kNone;
  std::atomic<int64_t> ejected_until_ = 0;
  RecentLatency recent_;
  // RememberLatency's.
  uint64_t remembered_ = 0;
};

}  // namespace torchfleet::gateway
