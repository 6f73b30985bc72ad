#pragma once
// Counts the calls that are open, so that a drain can wait for the last one.
//
// Thread-safe.

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"

namespace torchfleet::worker {

class OpenCalls {
 public:
  // False once closed; else End follows.
  [[nodiscard]] bool Begin() {
    const std::lock_guard lock(mu_);
    if (!closed_) ++open_;
    return !closed_;
  }
  void End() {
    const std::lock_guard lock(mu_);
    if (--open_ == 0 && closed_) none_.notify_all();
  }

  int count() {
    const std::lock_guard lock(mu_);
    return open_;
  }

  // No new calls. Waits until none is open; false when `timeout` passed first.
  bool Close(absl::Duration timeout) {
    std::unique_lock lock(mu_);
    closed_ = true;
    // A day is for ever, and does not overflow a time point.
    return none_.wait_for(lock, absl::ToChronoNanoseconds(std::min(timeout, absl::Hours(24))),
                          [&] { return open_ == 0; });
  }

 private:
  std::mutex mu_;
  std::condition_variable none_;
  int open_ ABSL_GUARDED_BY(mu_) = 0;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace torchfleet::worker
