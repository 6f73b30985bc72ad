#include "net/loop/loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "absl/time/time.h"
#include "base/log.h"

namespace torchfleet::net {
namespace {

void Require(int result, const char* what) {
  if (result == 0) return;
  LogError("a file descriptor was used that is not open", {{"call", what}, {"errno", errno}});
  std::abort();
}

int64_t Nanoseconds(Instant instant) { return absl::ToInt64Nanoseconds(instant.since_start()); }

}  // namespace

absl::StatusOr<std::unique_ptr<Loop>> Loop::Create() {
  const int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  const int wake_fd = epoll_fd < 0 ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd < 0) {
    if (epoll_fd >= 0) close(epoll_fd);
    return absl::ResourceExhaustedError("no file descriptors are left for an event loop");
  }
  return std::unique_ptr<Loop>(new Loop(epoll_fd, wake_fd));
}

Loop::Loop(int epoll_fd, int wake_fd) : epoll_fd_(epoll_fd), wake_fd_(wake_fd), now_(clock_.Now()) {
  Watch(wake_fd_, EPOLLIN, nullptr);
}

Loop::~Loop() {
  close(wake_fd_);
  close(epoll_fd_);
}

void Loop::Run() {
  while (!stopping_.load(std::memory_order_acquire)) Turn();
  stopping_.store(false, std::memory_order_release);
  RunPosted();
  EndTurn();
}

void Loop::Stop() {
  stopping_.store(true, std::memory_order_release);
  Post([] {});
}

void Loop::Post(std::function<void()> work) {
  bool first;
  {
    const std::lock_guard lock(mu_);
    first = posted_.empty();
    posted_.push_back(std::move(work));
  }
  if (!first) return;  // whoever was first has woken the loop
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof one);
}

void Loop::Watch(int fd, uint32_t events, Watcher* watcher) {
  epoll_event event{.events = events, .data = {.ptr = watcher}};
  Require(epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event), "watch");
}

void Loop::ChangeEvents(int fd, uint32_t events, Watcher* watcher) {
  epoll_event event{.events = events, .data = {.ptr = watcher}};
  Require(epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event), "change events");
}

void Loop::Unwatch(int fd, Watcher* watcher) {
  Require(epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr), "unwatch");
  // What this turn still had to tell it.
  for (int i = events_count_ - events_left_; i < events_count_; ++i) {
    if (events_[i].data.ptr == watcher) events_[i].events = 0;
  }
}

void Loop::AtTurnEnd(TurnEnd* flusher) {
  if (std::exchange(flusher->scheduled_, true)) return;
  ends_.push_back(flusher);
}

void Loop::ForgetTurnEnd(TurnEnd* flusher) {
  if (!std::exchange(flusher->scheduled_, false)) return;
  std::replace(ends_.begin(), ends_.end(), flusher, static_cast<TurnEnd*>(nullptr));
}

void Loop::DeleteLater(std::unique_ptr<Mortal> object) { graves_.push_back(std::move(object)); }

int64_t Loop::WaitLimit() const {
  // What was begun before Run has still to go out.
  if (!ends_.empty()) return 0;
  if (timers_.empty()) return -1;
  return std::max<int64_t>(timers_.front().when - Nanoseconds(clock_.Now()), 0);
}

int Loop::Wait() {
  const int64_t left = WaitLimit();
  constexpr int64_t kMillisecond = 1000000, kLongest = 1000 * 3600;
  // Short times to the nanosecond, where the system can (Linux 5.11).
  if (left > 0 && left < 20 * kMillisecond && waits_exactly_) {
    const timespec limit{.tv_sec = 0, .tv_nsec = left};
    const int count = epoll_pwait2(epoll_fd_, events_, kMaxEvents, &limit, nullptr);
    if (count >= 0 || errno != ENOSYS) return count;
    waits_exactly_ = false;
  }
  // Up to a whole millisecond, so that the timer is due afterwards.
  const int64_t rounded = std::min((left + kMillisecond - 1) / kMillisecond, kLongest);
  return epoll_wait(epoll_fd_, events_, kMaxEvents,
                    left <= 0 ? static_cast<int>(left) : static_cast<int>(rounded));
}

void Loop::Turn() {
  const int count = Wait();
  now_ = clock_.Now();
  events_count_ = events_left_ = std::max(count, 0);
  bool posted = false;
  while (events_left_ > 0) {
    const epoll_event& event = events_[events_count_ - events_left_--];
    if (event.events == 0) continue;
    if (event.data.ptr == nullptr) {
      posted = true;
    } else {
      static_cast<Watcher*>(event.data.ptr)->OnEvents(event.events);
    }
  }
  if (posted) RunPosted();
  RunTimers();
  EndTurn();
}

void Loop::RunPosted() {
  uint64_t ignored;
  [[maybe_unused]] const ssize_t count = read(wake_fd_, &ignored, sizeof ignored);
  {
    const std::lock_guard lock(mu_);
    running_.swap(posted_);
  }
  for (const auto& work : running_) work();
  running_.clear();
}

void Loop::RunTimers() {
  if (timers_.empty()) return;
  const int64_t now = Nanoseconds(now_);
  while (!timers_.empty() && timers_.front().when <= now) {
    Timer* timer = timers_.front().timer;
    Remove(timer);
    timer->on_time_();
  }
}

void Loop::EndTurn() {
  // A flush may schedule others, also those that were flushed already.
  for (size_t i = 0; i < ends_.size(); ++i) {
    TurnEnd* const end = ends_[i];
    if (end == nullptr) continue;
    end->scheduled_ = false;
    end->OnTurnEnd();
  }
  ends_.clear();
  // Destructors may bury others.
  while (!graves_.empty()) {
    const auto graves = std::exchange(graves_, {});
  }
}

void Loop::Insert(Timer* timer, int64_t when) {
  timers_.push_back({when, timer});
  timer->place_ = static_cast<std::ptrdiff_t>(timers_.size() - 1);
  Rise(timers_.size() - 1);
}

void Loop::Remove(Timer* timer) {
  const auto at = static_cast<size_t>(timer->place_);
  timer->place_ = -1;
  const Entry last = timers_.back();
  timers_.pop_back();
  if (at == timers_.size()) return;
  Place(at, last);
  Rise(at);
  Sink(static_cast<size_t>(last.timer->place_));
}

void Loop::Place(size_t at, Entry entry) {
  timers_[at] = entry;
  entry.timer->place_ = static_cast<std::ptrdiff_t>(at);
}

void Loop::Rise(size_t at) {
  const Entry entry = timers_[at];
  while (at > 0) {
    const size_t parent = (at - 1) / 2;
    if (timers_[parent].when <= entry.when) break;
    Place(at, timers_[parent]);
    at = parent;
  }
  Place(at, entry);
}

void Loop::Sink(size_t at) {
  const Entry entry = timers_[at];
  while (true) {
    size_t child = 2 * at + 1;
    if (child >= timers_.size()) break;
    if (child + 1 < timers_.size() && timers_[child + 1].when < timers_[child].when) ++child;
    if (entry.when <= timers_[child].when) break;
    Place(at, timers_[child]);
    at = child;
  }
  Place(at, entry);
}

void Timer::Start(absl::Duration after) {
  Stop();
  if (after == absl::InfiniteDuration()) return;
  loop_.Insert(this, Nanoseconds(loop_.now_ + after));
}

void Timer::Stop() {
  if (running()) loop_.Remove(this);
}

}  // namespace torchfleet::net
