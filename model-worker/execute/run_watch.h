#pragma once
// Which runs of a model are under way and since when, for whoever watches over
// them. Thread-safe.

#include <list>
#include <mutex>

#include "absl/base/thread_annotations.h"
#include "base/clock.h"

namespace torchfleet::worker {

class RunWatch {
 public:
  explicit RunWatch(const Clock& clock) : clock_(clock) {}

  // A run, for as long as it exists.
  class Run {
   public:
    explicit Run(RunWatch& watch) : watch_(watch) {
      const std::lock_guard lock(watch_.mu_);
      place_ = watch_.began_.insert(watch_.began_.end(), watch_.clock_.Now());
    }
    ~Run() {
      const std::lock_guard lock(watch_.mu_);
      watch_.began_.erase(place_);
    }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

   private:
    RunWatch& watch_;
    std::list<Instant>::iterator place_;
  };

  // How long the longest has been running; zero when none is.
  absl::Duration longest() const {
    const std::lock_guard lock(mu_);
    return began_.empty() ? absl::ZeroDuration() : clock_.Now() - began_.front();
  }

 private:
  const Clock& clock_;
  mutable std::mutex mu_;
  // In the order in which they began.
  std::list<Instant> began_ ABSL_GUARDED_BY(mu_);
};

}  // namespace torchfleet::worker
