#pragma once
// Loads the worker's model anew beside the one that serves: when asked to, and
// when its files have changed. The new one takes over once it is warm; if it
// cannot be loaded, the old one serves on, and why is kept.
//
//   asked, or files changed ─► read ─► load, warm up ─► takes over
//                                └──────────┴─► failed: the old one serves on
//
// One load runs at a time. Whoever asks meanwhile waits for it, and all that
// wait share the next: each sees the files as they are when it asks, or later.
// Files that could not be loaded are not tried again until they change.
//
// Lifecycle: Start when the first engine serves; Close, then Stop, before what it
// borrows ends. Thread-safe; calls `taken_over` and whoever asked on its thread.

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/snapshot.h"
#include "model-worker/engines.h"
#include "model-worker/reload/watched_model.h"

namespace torchfleet::worker {

class Reloader {
 public:
  using Done = std::function<void(const absl::Status&)>;
  struct Figures {
    uint64_t ok = 0, failed = 0;
  };

  // Looks at the files every `interval`; zero: never. `files` were read for the
  // engine that serves.
  Reloader(WatchedModel& files, Engines& engines, Snapshot<Engine>& serving,
           absl::Duration interval);
  ~Reloader() { Stop(); }

  void Start(ModelLoader loader, std::function<void(const Engine&)> taken_over);
  // `done` comes once, also after Close: INVALID_ARGUMENT for a configuration
  // that contradicts itself, RESOURCE_EXHAUSTED where memory does not suffice
  // for two, UNAVAILABLE after Close, else FAILED_PRECONDITION. Fit for callers.
  void Ask(Done done);
  // Answers whoever waits. What is being loaded does not take over any more.
  void Close();
  // Waits for what is being loaded.
  void Stop();

  // Why the last load failed; empty after one that did not.
  std::string last_failure() const;
  Figures figures() const;

 private:
  void Run();
  // Waits until there is something to do; false once closed.
  bool AwaitCause();
  void Reload();
  absl::Status LoadAnew();
  absl::Status Noted(const absl::Status& status);

  WatchedModel& files_;
  Engines& engines_;
  Snapshot<Engine>& serving_;
  const absl::Duration interval_;
  ModelLoader loader_;
  std::function<void(const Engine&)> taken_over_;

  mutable std::mutex mu_;
  std::condition_variable changed_;
  std::vector<Done> asked_ ABSL_GUARDED_BY(mu_);
  // Who waits for the load that runs.
  std::vector<Done> waiting_ ABSL_GUARDED_BY(mu_);
  std::string last_failure_ ABSL_GUARDED_BY(mu_);
  Figures figures_ ABSL_GUARDED_BY(mu_);
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace torchfleet::worker
