#pragma once
// SIGTERM and SIGINT as an event that main waits for.
//
// Create it first thing in main: threads started later inherit the blocked
// signals. A second signal ends the process at once with status 130.

#include "absl/time/time.h"

namespace torchfleet {

class ShutdownSignal {
 public:
  ShutdownSignal();

  // Until the first signal. Returns its number.
  int Wait();
  // Until the first signal or `timeout`; 0 when none came.
  int WaitFor(absl::Duration timeout);
};

}  // namespace torchfleet
