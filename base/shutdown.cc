#include "base/shutdown.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

namespace torchfleet {
namespace {

sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

bool FromOutside(const siginfo_t& info) { return info.si_pid != getpid(); }

// `came`: how many have come from outside.
void ExitOnSecondSignal(int came) {
  std::thread([came]() mutable {
    const sigset_t set = StopSignals();
    siginfo_t info;
    while (came < 2) {
      if (sigwaitinfo(&set, &info) > 0 && FromOutside(info)) ++came;
    }
    _exit(130);
  }).detach();
}

}  // namespace

ShutdownSignal::ShutdownSignal() {
  const sigset_t set = StopSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

void ShutdownSignal::Request() { kill(getpid(), SIGTERM); }

int ShutdownSignal::Wait() { return WaitFor(absl::InfiniteDuration()); }

int ShutdownSignal::WaitFor(absl::Duration timeout) {
  const sigset_t set = StopSignals();
  siginfo_t info;
  int signal = 0;
  do {
    if (timeout == absl::InfiniteDuration()) {
      signal = sigwaitinfo(&set, &info);
    } else {
      const timespec limit = absl::ToTimespec(timeout);
      signal = sigtimedwait(&set, &info, &limit);
    }
  } while (signal < 0 && errno == EINTR);
  if (signal <= 0) return 0;
  ExitOnSecondSignal(FromOutside(info) ? 1 : 0);
  return signal;
}

}  // namespace torchfleet
