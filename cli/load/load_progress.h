#pragma once
// How a load goes, told while it runs. Thread-safe.

#include <cstdint>
#include <mutex>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "cli/load/histogram.h"

namespace torchfleet::cli {

class LoadProgress {
 public:
  // Since the last was taken.
  struct Interval {
    Histogram latency;
    uint64_t failed = 0;
    // Of all threads, as they last told.
    int64_t in_flight = 0;
  };

  // A thread's: `more` calls are in flight than when it last told.
  void Add(const Histogram& latency, uint64_t failed, int64_t more) {
    const std::lock_guard lock(mu_);
    interval_.latency.Add(latency);
    interval_.failed += failed;
    interval_.in_flight += more;
  }
  Interval Take() {
    Interval taken;  // made without the lock: it is large
    const std::lock_guard lock(mu_);
    taken.in_flight = interval_.in_flight;
    std::swap(taken, interval_);
    return taken;
  }

 private:
  std::mutex mu_;
  Interval interval_ ABSL_GUARDED_BY(mu_);
};

}  // namespace torchfleet::cli
