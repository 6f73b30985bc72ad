#pragma once
// What is counted of the calls of rules with a canary, by side: how many, how many
// failed, how long they took; and the table of all such rules.
//
// Each event loop has counters of its own, which it alone writes. They only grow,
// from when the rule's canary and targets stand for these versions; whoever judges
// a step takes the difference. Thread-safe; nothing on the path of a call takes a
// lock.

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/snapshot.h"
#include "gateway/discover/fleet_snapshot.h"
#include "gateway/route/canary_policy.h"

namespace torchfleet::gateway {

class TrialCalls {
 public:
  // One loop's, of one side.
  class alignas(64) Counts {
   public:
    // Cancelled calls say nothing of a version.
    void End(absl::StatusCode code, absl::Duration duration);

   private:
    friend class TrialCalls;

    std::atomic<uint64_t> answered_ = 0;
    std::atomic<uint64_t> failed_ = 0;
    std::array<std::atomic<uint64_t>, LatencyCounts::kBuckets> latencies_ = {};
  };

  explicit TrialCalls(size_t loops) : counts_(2 * loops) {}

  Counts& of(size_t loop, bool canary) { return counts_[2 * loop + (canary ? 1 : 0)]; }
  // Of all loops.
  TrialFigures Sum() const;

 private:
  std::vector<Counts> counts_;
};

// A rule with a canary.
struct Trial {
  // As in the latest snapshot.
  std::shared_ptr<const registry::v1::Route> route;
  int rule = 0;
  // Which versions its canary and its targets stand for.
  std::string versions;
  std::shared_ptr<TrialCalls> calls;

  const registry::v1::RouteCanary& canary() const { return route->rules(rule).canary(); }
};

class TrialTable {
 public:
  struct Table {
    std::vector<Trial> trials = {};
    // By the rule in the snapshot.
    absl::flat_hash_map<const registry::v1::RouteRule*, TrialCalls*> by_rule = {};
  };

  explicit TrialTable(size_t loops) : loops_(loops) {}

  // What the catalogue of `fleet` has. One caller at a time, before calls see `fleet`.
  void Update(const FleetSnapshot& fleet);

  const Snapshot<Table>& table() const { return table_; }

 private:
  const size_t loops_;
  Snapshot<Table> table_;
};

}  // namespace torchfleet::gateway
