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

void ExitOnNextSignal() {
  std::thread([] {
    const sigset_t set = StopSignals();
    int signal = 0;
    sigwait(&set, &signal);
    _exit(130);
  }).detach();
}

}  // namespace

ShutdownSignal::ShutdownSignal() {
  const sigset_t set = StopSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

int ShutdownSignal::Wait() { return WaitFor(absl::InfiniteDuration()); }

int ShutdownSignal::WaitFor(absl::Duration timeout) {
  const sigset_t set = StopSignals();
  int signal = 0;
  do {
    if (timeout == absl::InfiniteDuration()) {
      signal = sigwaitinfo(&set, nullptr);
    } else {
      const timespec limit = absl::ToTimespec(timeout);
      signal = sigtimedwait(&set, nullptr, &limit);
    }
  } while (signal < 0 && errno == EINTR);
  if (signal <= 0) return 0;
  ExitOnNextSignal();
  return signal;
}

}  // namespace torchfleet
