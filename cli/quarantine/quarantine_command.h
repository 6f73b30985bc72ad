#pragma once
// `torchfleet quarantine`: requests that killed two workers, and letting them out.

#include <string>

#include "absl/time/time.h"

namespace torchfleet::cli {

struct QuarantineOptions {
  // Operators' ports of gateways, host:port with commas between; empty: of the fleet
  // that runs here.
  std::string operators = {};
  std::string format = "table";
  absl::Duration timeout = absl::Seconds(5);
  // The fingerprint of what is to go; empty: they are listed.
  std::string release = {};
};

// The process's exit code: 0; 1 when there is nothing to release, or a gateway of
// several was not heard; 3 when none was. Each gateway has a quarantine of its own:
// a request is let out wherever it is in.
int RunQuarantine(const QuarantineOptions& options);

}  // namespace torchfleet::cli
