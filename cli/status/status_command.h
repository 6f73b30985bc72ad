#pragma once
// `torchfleet status`: the fleet as a table or as JSON.

#include <string>

#include "absl/time/time.h"

namespace torchfleet::cli {

struct StatusOptions {
  // host:port, or several with commas between; empty: the fleet that runs here.
  std::string registry;
  // Operators' ports of gateways, host:port with commas between; empty: of the fleet
  // that runs here.
  std::string operators = {};
  std::string format = "table";
  absl::Duration timeout = absl::Seconds(5);
  // Again and again, until interrupted.
  bool watch = false;
};

// The process's exit code: 0 when everything is ready, 1 when something is
// not or a gateway was not heard, 3 when the registry cannot be reached. Of a watch that was
// interrupted, 0.
int RunStatus(const StatusOptions& options);

}  // namespace torchfleet::cli
