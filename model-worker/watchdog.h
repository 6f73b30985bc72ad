#pragma once
// Watches over the batches that run, and over memory, from a thread of its own.
//
// Torch cannot be interrupted: a batch that does not come back holds its executor
// for ever. One that runs for `warning` is logged, once; when one has run for
// `limit`, the process is to end, so that its supervisor starts another.
//
// Lifecycle: Start once; ends its thread when destroyed. Borrows all but the
// function, which is called once, on its thread.

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "model-worker/execute/memory_budget.h"
#include "model-worker/execute/run_watch.h"

namespace torchfleet::worker {

class Watchdog {
 public:
  // Zero: never.
  struct Rules {
    absl::Duration warning = absl::Seconds(10);
    absl::Duration limit = absl::Seconds(60);
  };

  // `stuck`: why the process cannot go on.
  Watchdog(const Rules& rules, const RunWatch& runs, MemoryBudget& memory,
           std::function<void(const std::string&)> stuck);
  ~Watchdog();

  void Start();
  // One look, as its thread does now and then.
  void Look();

 private:
  void Watch();

  const Rules rules_;
  const RunWatch& runs_;
  MemoryBudget& memory_;
  const std::function<void(const std::string&)> stuck_;
  // Runs up to this one have been logged.
  uint64_t warned_ = 0;
  bool told_ = false;
  std::mutex mu_;
  std::condition_variable changed_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace torchfleet::worker
