#pragma once
// What is counted of one model's calls, and its retry budget; and the table of
// all models.
//
// A model has its own budget, so that one whose workers fail takes no retries
// from the others. Models that nobody knows share one entry, `other`: no
// caller can make up a label.
//
// Thread-safe; nothing on the path of a call takes a lock.

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/snapshot.h"
#include "gateway/forward/retry_budget.h"

namespace torchfleet::gateway {

class ModelCalls {
 public:
  // Status codes are 0 to 16.
  static constexpr size_t kCodes = 17;
  // Upper bounds of the duration's buckets in seconds; one more has no bound.
  static constexpr std::array kBounds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                         0.1,    0.25,  0.5,    1.0,   2.5,  5.0,   10.0};

  explicit ModelCalls(Instant now) : budget_(RetryBudget::Options{}, now) {}

  void Begin() { in_flight_.fetch_add(1, std::memory_order_relaxed); }
  void End(absl::StatusCode code, absl::Duration duration);
  void CountRetry() { retries_.fetch_add(1, std::memory_order_relaxed); }
  RetryBudget& budget() { return budget_; }

  int64_t in_flight() const { return in_flight_.load(std::memory_order_relaxed); }
  uint64_t retries() const { return retries_.load(std::memory_order_relaxed); }
  uint64_t calls(size_t code) const { return calls_[code].load(std::memory_order_relaxed); }
  // Of `bucket` alone, not of those below too.
  uint64_t bucket(size_t bucket) const { return buckets_[bucket].load(std::memory_order_relaxed); }
  absl::Duration total_duration() const {
    return absl::Nanoseconds(nanoseconds_.load(std::memory_order_relaxed));
  }

 private:
  RetryBudget budget_;
  std::atomic<int64_t> in_flight_ = 0;
  std::atomic<uint64_t> retries_ = 0;
  std::array<std::atomic<uint64_t>, kCodes> calls_ = {};
  std::array<std::atomic<uint64_t>, kBounds.size() + 1> buckets_ = {};
  std::atomic<int64_t> nanoseconds_ = 0;
};

class ModelCallsTable {
 public:
  using Table = std::map<std::string, std::shared_ptr<ModelCalls>, std::less<>>;

  explicit ModelCallsTable(Instant now);

  // Adds what is not there yet; nothing ever leaves, counters only grow. One
  // caller at a time.
  void Add(const std::set<std::string>& models, Instant now);

  // The model's, or `other`'s.
  std::shared_ptr<ModelCalls> Find(std::string_view model) const;
  // By label.
  std::shared_ptr<const Table> All() const { return table_.Get(); }

 private:
  Snapshot<Table> table_;
  std::shared_ptr<ModelCalls> other_;
};

}  // namespace torchfleet::gateway
