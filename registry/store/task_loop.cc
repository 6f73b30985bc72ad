#include "registry/store/task_loop.h"

#include <utility>

namespace torchfleet::registry {

TaskLoop::TaskLoop(const Clock& clock) : clock_(clock) {
  thread_ = std::thread([this] { Loop(); });
}

TaskLoop::~TaskLoop() { Stop(); }

void TaskLoop::Post(Task task) {
  const std::lock_guard lock(mu_);
  if (stopping_) return;
  tasks_.push_back(std::move(task));
  // Under the lock: who posts may be the last thing that Stop waits for.
  changed_.notify_all();
}

void TaskLoop::After(absl::Duration wait, Task task) {
  const std::lock_guard lock(mu_);
  if (stopping_) return;
  timers_.emplace(clock_.Now() + wait, std::move(task));
  changed_.notify_all();
}

void TaskLoop::Run(const Task& task) {
  if (std::this_thread::get_id() == thread_.get_id()) {
    task();
    return;
  }
  std::mutex mu;
  std::condition_variable ran;
  bool done = false;
  Post([&] {
    task();
    const std::lock_guard lock(mu);
    done = true;
    ran.notify_all();
  });
  std::unique_lock lock(mu);
  ran.wait(lock, [&] { return done; });
}

void TaskLoop::Stop() {
  {
    const std::lock_guard lock(mu_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

absl::Duration TaskLoop::TakeDue() {
  const Instant now = clock_.Now();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    tasks_.push_back(std::move(timers_.begin()->second));
    timers_.erase(timers_.begin());
  }
  return timers_.empty() ? absl::Hours(1) : timers_.begin()->first - now;
}

void TaskLoop::Loop() {
  std::unique_lock lock(mu_);
  while (true) {
    const absl::Duration wait = TakeDue();
    if (tasks_.empty()) {
      if (stopping_) return;
      changed_.wait_for(lock, absl::ToChronoNanoseconds(wait));
      continue;
    }
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    task = nullptr;
    lock.lock();
  }
}

}  // namespace torchfleet::registry
