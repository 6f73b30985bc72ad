#pragma once
// What executors count of the batches they ran. Thread-safe.

#include <cstdint>
#include <map>
#include <mutex>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"

namespace torchfleet::worker {

class ExecutionStatistics {
 public:
  // Of the batches of one size, in rows.
  struct Size {
    uint64_t count = 0;
    absl::Duration input, infer, output;
  };
  struct Figures {
    std::map<int64_t, Size> sizes;
    // Elements that batches had, and those of them that were padding; rows where
    // rows do not differ in length.
    uint64_t elements = 0, padding = 0;
    // Batches that failed and whose requests were run again one by one.
    uint64_t apart = 0;
    // Answers refused because the model broke its configuration's promise.
    uint64_t mismatches = 0;
  };

  void Ran(int64_t rows, int64_t elements, int64_t padding, absl::Duration input,
           absl::Duration infer, absl::Duration output) {
    const std::lock_guard lock(mu_);
    Size& size = figures_.sizes[rows];
    ++size.count;
    size.input += input;
    size.infer += infer;
    size.output += output;
    figures_.elements += static_cast<uint64_t>(elements);
    figures_.padding += static_cast<uint64_t>(padding);
  }
  void RanApart() {
    const std::lock_guard lock(mu_);
    ++figures_.apart;
  }
  void Mismatched() {
    const std::lock_guard lock(mu_);
    ++figures_.mismatches;
  }

  Figures figures() const {
    const std::lock_guard lock(mu_);
    return figures_;
  }

 private:
  mutable std::mutex mu_;
  Figures figures_ ABSL_GUARDED_BY(mu_);
};

}  // namespace torchfleet::worker
