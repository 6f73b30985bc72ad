#pragma once
// A worker of the simulation: so many calls run at once, the others wait in line.
// It may be slow, frozen or dead.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "tests/simulation/event_queue.h"

namespace torchfleet::simulation {

struct WorkerOptions {
  // Calls at once.
  uint32_t capacity = 4;
  // Of a call that runs: the median, and how much it varies (of its logarithm).
  absl::Duration service = absl::Milliseconds(20);
  double spread = 0.2;
  // Calls that take so many times as long.
  double stragglers = 0;
  double straggler_factor = 20;
  // Calls that may wait.
  size_t queue = 1024;
};

// What a gateway has asked of a worker.
struct Job {
  // How it ended; once, unless it was cancelled. On the worker's side.
  std::function<void()> answered, lost, refused;
  bool cancelled = false;
};

class SimWorker {
 public:
  SimWorker(EventQueue& events, const WorkerOptions& options, uint64_t seed)
      : events_(events), options_(options), random_(seed) {}

  // False when nobody listens.
  bool Take(const std::shared_ptr<Job>& job);

  // How much longer calls take that begin from now on.
  void SetSlowness(double factor) { slowness_ = factor; }
  void Freeze() { frozen_ = true; }
  void Thaw();
  // All it had is lost.
  void Kill();
  // A new process in its place.
  void Start() { dead_ = false; }

  bool answers_probes() const { return !dead_ && !frozen_; }
  bool dead() const { return dead_; }
  uint32_t requests() const { return static_cast<uint32_t>(waiting_.size() + running_.size()); }
  uint32_t capacity() const { return options_.capacity; }

 private:
  void RunNext();
  void Ended(const std::shared_ptr<Job>& job, uint64_t life);
  absl::Duration ServiceTime();

  EventQueue& events_;
  const WorkerOptions options_;
  std::mt19937_64 random_;
  std::deque<std::shared_ptr<Job>> waiting_;
  std::vector<std::shared_ptr<Job>> running_;
  // What was done, or came, while it was frozen.
  std::vector<std::function<void()>> stopped_;
  double slowness_ = 1;
  bool frozen_ = false, dead_ = false;
  uint64_t life_ = 0;
};

}  // namespace torchfleet::simulation
