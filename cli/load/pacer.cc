#include "cli/load/pacer.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace torchfleet::cli {

absl::StatusOr<std::unique_ptr<Pacer>> Pacer::Create(net::Loop& loop,
                                                     std::function<void()> on_time) {
  const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (fd < 0) return absl::ResourceExhaustedError("no file descriptors are left for a timer");
  return std::unique_ptr<Pacer>(new Pacer(loop, fd, std::move(on_time)));
}

Pacer::Pacer(net::Loop& loop, int fd, std::function<void()> on_time)
    : loop_(loop), fd_(fd), on_time_(std::move(on_time)) {
  loop_.Watch(fd_, EPOLLIN, this);
}

Pacer::~Pacer() {
  loop_.Unwatch(fd_, this);
  close(fd_);
}

void Pacer::WakeAt(Instant moment) {
  // Zero would disarm it.
  const absl::Duration since = std::max(moment.since_start(), absl::Nanoseconds(1));
  const itimerspec when = {.it_interval = {}, .it_value = absl::ToTimespec(since)};
  timerfd_settime(fd_, TFD_TIMER_ABSTIME, &when, nullptr);
}

void Pacer::OnEvents(uint32_t) {
  uint64_t times = 0;
  if (read(fd_, &times, sizeof times) == sizeof times) on_time_();
}

}  // namespace torchfleet::cli
