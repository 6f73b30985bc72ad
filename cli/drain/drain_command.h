#pragma once
// `torchfleet drain`: workers finish what they have and go.

#include <string>

#include "absl/time/time.h"

namespace torchfleet::cli {

struct DrainOptions {
  // A worker or a model.
  std::string name;
  // host:port, or several with commas between; empty: the fleet that runs here.
  std::string registry;
  // Until they are gone.
  bool wait = false;
  // For each call, and for all of the wait.
  absl::Duration timeout = absl::Minutes(1);
};

// The process's exit code: 0 when they were told, or are gone; 1 when there is
// none of that name or some are not gone in time; 3 when no registry answers.
int RunDrain(const DrainOptions& options);

}  // namespace torchfleet::cli
