#pragma once
// What is counted of one model's calls, and its retry budget; and the table of
// all models.
//
// A model has its own budget, so that one whose workers fail takes no retries
// from the others. Models that nobody knows share one entry, `other`: no
// caller can make up a label.
//
// Each event loop has counters of its own, which it alone writes; whoever wants
// the sums adds them up. Thread-safe; nothing on the path of a call takes a lock.

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/snapshot.h"
#include "gateway/admit/places.h"
#include "gateway/admit/waiting_room.h"
#include "gateway/forward/latency_quantile.h"
#include "gateway/forward/retry_budget.h"

namespace torchfleet::gateway {

class InferCall;

// How a call ended.
struct CallOutcome {
  absl::StatusCode code = absl::StatusCode::kOk;
  absl::Duration duration;
  // Of the request and of the answer.
  uint64_t bytes_in = 0, bytes_out = 0;
};

// Counts by upper bound, and their sum. One writer.
template <size_t kBounds>
class BucketCounts {
 public:
  void Add(const std::array<double, kBounds>& bounds, double value, uint64_t sum);

  // The last bucket has no bound. Of `i` alone, not of those below too.
  uint64_t bucket(size_t i) const { return buckets_[i].load(std::memory_order_relaxed); }
  uint64_t sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  std::array<std::atomic<uint64_t>, kBounds + 1> buckets_ = {};
  std::atomic<uint64_t> sum_ = 0;
};

class ModelCalls {
 public:
  // Status codes are 0 to 16.
  static constexpr size_t kCodes = 17;
  // In seconds.
  static constexpr std::array kDurations = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                            0.1,    0.25,  0.5,    1.0,   2.5,  5.0,   10.0};
  // In bytes.
  static constexpr std::array kSizes = {1024.0,    4096.0,    16384.0,    65536.0,   262144.0,
                                        1048576.0, 4194304.0, 16777216.0, 67108864.0};

  // One loop's.
  class alignas(64) Counts {
   public:
    void Begin();
    void End(const CallOutcome& outcome);
    // A call has waited for room.
    void Waited(absl::Duration duration);

    uint64_t begun() const { return begun_.load(std::memory_order_relaxed); }
    uint64_t ended(size_t code) const { return ended_[code].load(std::memory_order_relaxed); }
    // The sum in nanoseconds.
    const BucketCounts<kDurations.size()>& durations() const { return durations_; }
    const BucketCounts<kSizes.size()>& requests() const { return requests_; }
    const BucketCounts<kSizes.size()>& answers() const { return answers_; }
    // The sum in nanoseconds.
    const BucketCounts<kDurations.size()>& waits() const { return waits_; }
    // How long answers take. The loop's alone, to write and to read.
    LatencyQuantile& usual() { return usual_; }
    // Its calls that wait for a worker to have room.
    WaitingRoom<InferCall>& room() { return room_; }

   private:
    std::atomic<uint64_t> begun_ = 0;
    std::array<std::atomic<uint64_t>, kCodes> ended_ = {};
    BucketCounts<kDurations.size()> durations_;
    BucketCounts<kSizes.size()> requests_;
    BucketCounts<kSizes.size()> answers_;
    BucketCounts<kDurations.size()> waits_;
    LatencyQuantile usual_;
    WaitingRoom<InferCall> room_;
  };

  // What was done for its calls, or to its workers, that is no plain attempt.
  enum class Rescue : uint8_t {
    kRetry,
    kHedge,
    // A hedge that answered first.
    kHedgeWon,
    // A call for which no worker had room.
    kRefusal,
    // A call that waited for one that had.
    kWaited,
    // A call whose request is in quarantine.
    kQuarantined,
    // A worker taken out: it gave no answers, errors, answers too late.
    kEjectedSilent,
    kEjectedFailing,
    kEjectedSlow,
    kReturned,
    // A copy for the shadow: the same answer, another, none or an error, not sent or
    // not compared.
    kShadowSame,
    kShadowDifferent,
    kShadowFailed,
    kShadowSkipped,
    kCount,
  };

  ModelCalls(Instant now, size_t loops) : budget_(RetryBudget::Options{}, now), counts_(loops) {}

  Counts& of(size_t loop) { return counts_[loop]; }
  const std::vector<Counts>& all() const { return counts_; }
  void Count(Rescue what) {
    rescues_[static_cast<size_t>(what)].fetch_add(1, std::memory_order_relaxed);
  }
  RetryBudget& budget() { return budget_; }
  // Taken by calls that are under way, where their number is limited, and by those
  // that wait; of all loops.
  Places& under_way() { return under_way_; }
  Places& waiting() { return waiting_; }
  const Places& waiting() const { return waiting_; }

  uint64_t count(Rescue what) const {
    return rescues_[static_cast<size_t>(what)].load(std::memory_order_relaxed);
  }
  // Of all loops.
  uint64_t ended(size_t code) const;
  int64_t in_flight() const;

 private:
  RetryBudget budget_;
  Places under_way_, waiting_;
  std::array<std::atomic<uint64_t>, static_cast<size_t>(Rescue::kCount)> rescues_ = {};
  std::vector<Counts> counts_;
};

class ModelCallsTable {
 public:
  using Table = std::map<std::string, std::shared_ptr<ModelCalls>, std::less<>>;

  explicit ModelCallsTable(Instant now, size_t loops = 1);

  // Adds what is not there yet; nothing ever leaves, counters only grow. One
  // caller at a time.
  void Add(const std::set<std::string>& models, Instant now);

  // The model's, or `other`'s.
  std::shared_ptr<ModelCalls> Find(std::string_view model) const;
  // By label.
  std::shared_ptr<const Table> All() const { return table_.Get(); }
  const Snapshot<Table>& table() const { return table_; }
  const std::shared_ptr<ModelCalls>& other() const { return other_; }

 private:
  const size_t loops_;
  Snapshot<Table> table_;
  std::shared_ptr<ModelCalls> other_;
};

}  // namespace torchfleet::gateway
