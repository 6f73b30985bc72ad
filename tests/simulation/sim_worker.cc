#include "tests/simulation/sim_worker.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace torchfleet::simulation {

bool SimWorker::Take(const std::shared_ptr<Job>& job) {
  if (dead_) return false;
  if (frozen_) {
    // The kernel takes it; the process will see it when it goes on.
    stopped_.push_back([this, job] {
      if (!job->cancelled) Take(job);
    });
    return true;
  }
  if (waiting_.size() >= options_.queue) {
    job->refused();
    return true;
  }
  waiting_.push_back(job);
  RunNext();
  return true;
}

void SimWorker::RunNext() {
  while (!frozen_ && running_.size() < options_.capacity && !waiting_.empty()) {
    const std::shared_ptr<Job> job = std::move(waiting_.front());
    waiting_.pop_front();
    if (job->cancelled) continue;
    running_.push_back(job);
    events_.After(ServiceTime(), [this, job, life = life_] { Ended(job, life); });
  }
}

void SimWorker::Ended(const std::shared_ptr<Job>& job, uint64_t life) {
  if (life != life_) return;
  if (frozen_) {
    stopped_.push_back([this, job, life] { Ended(job, life); });
    return;
  }
  std::erase(running_, job);
  if (!job->cancelled) job->answered();
  RunNext();
}

absl::Duration SimWorker::ServiceTime() {
  const double varies = std::exp(std::normal_distribution(0.0, options_.spread)(random_));
  const bool straggles = std::bernoulli_distribution(options_.stragglers)(random_);
  return options_.service * (varies * slowness_ * (straggles ? options_.straggler_factor : 1));
}

void SimWorker::Thaw() {
  frozen_ = false;
  for (const auto& action : std::exchange(stopped_, {})) action();
  RunNext();
}

void SimWorker::Kill() {
  dead_ = true;
  ++life_;
  stopped_.clear();
  for (const auto& job : std::exchange(running_, {})) {
    if (!job->cancelled) job->lost();
  }
  for (const auto& job : std::exchange(waiting_, {})) {
    if (!job->cancelled) job->lost();
  }
}

}  // namespace torchfleet::simulation
