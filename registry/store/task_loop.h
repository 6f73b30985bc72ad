#pragma once
// One thread that runs what it is given, in order, and timers.
//
// What lives on the loop needs no lock of its own: everything that happens to it
// is a task.
//
// Lifecycle: running from construction to Stop (or destruction), which runs what
// was posted before, forgets timers and joins. Post after Stop does nothing.
// Thread-safe.

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/clock.h"

namespace torchfleet::registry {

class TaskLoop {
 public:
  using Task = std::function<void()>;

  // Borrows the clock.
  explicit TaskLoop(const Clock& clock);
  ~TaskLoop();
  TaskLoop(const TaskLoop&) = delete;

  void Post(Task task);
  // Runs it after that long, but for Stop.
  void After(absl::Duration wait, Task task);
  // Runs it and returns when it is done; on the loop's own thread at once.
  void Run(const Task& task);

  void Stop();

 private:
  void Loop();
  // Timers that are due become tasks; how long until the next one.
  absl::Duration TakeDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Clock& clock_;
  std::mutex mu_;
  std::condition_variable changed_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mu_);
  std::multimap<Instant, Task> timers_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace torchfleet::registry
