#pragma once
// Which runs of a model are under way and since when, for whoever watches over
// them. Thread-safe.

#include <list>
#include <mutex>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/clock.h"

namespace torchfleet::worker {

class RunWatch {
  struct Began {
    uint64_t number = 0;
    Instant at;
  };

 public:
  explicit RunWatch(const Clock& clock) : clock_(clock) {}

  // How long a run has been under way. Later ones have higher numbers.
  struct Age {
    uint64_t number = 0;
    absl::Duration age;
  };

  // A run, for as long as it exists.
  class Run {
   public:
    explicit Run(RunWatch& watch) : watch_(watch) {
      const std::lock_guard lock(watch_.mu_);
      place_ = watch_.running_.insert(watch_.running_.end(),
                                      {++watch_.last_number_, watch_.clock_.Now()});
    }
    ~Run() {
      const std::lock_guard lock(watch_.mu_);
      watch_.running_.erase(place_);
    }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

   private:
    RunWatch& watch_;
    std::list<Began>::iterator place_;
  };

  // How long the longest has been running; zero when none is.
  absl::Duration longest() const {
    const std::lock_guard lock(mu_);
    return running_.empty() ? absl::ZeroDuration() : clock_.Now() - running_.front().at;
  }
  // Those that have been running for `limit`, the longest first.
  std::vector<Age> Over(absl::Duration limit) const {
    const std::lock_guard lock(mu_);
    std::vector<Age> over;
    for (const Began& run : running_) {
      const absl::Duration age = clock_.Now() - run.at;
      if (age < limit) break;
      over.push_back({run.number, age});
    }
    return over;
  }

 private:
  const Clock& clock_;
  mutable std::mutex mu_;
  // In the order in which they began.
  std::list<Began> running_ ABSL_GUARDED_BY(mu_);
  uint64_t last_number_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace torchfleet::worker
