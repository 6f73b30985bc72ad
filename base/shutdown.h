#pragma once
// SIGTERM and SIGINT as an event that main waits for.
//
// Create it first thing in main: threads started later inherit the blocked
// signals. A second signal ends the process at once with status 130; what Request
// asked for is not counted.

#include "absl/time/time.h"

namespace torchfleet {

class ShutdownSignal {
 public:
  ShutdownSignal();

  // As if the first signal had come; from any thread.
  static void Request();

  // Until the first signal. Returns its number.
  int Wait();
  // Until the first signal or `timeout`; 0 when none came.
  int WaitFor(absl::Duration timeout);
};

}  // namespace torchfleet
