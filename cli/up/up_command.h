#pragma once
// `torchfleet up`: a whole fleet of a model repository on this machine.

#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace torchfleet::cli {

struct UpOptions {
  std::string repository = "./models";
  std::string listen = "127.0.0.1:8001";
  // MODEL=N.
  std::vector<std::string> replicas;
  // The registry's store; empty: a file in the repository.
  std::string store;
  // The worker's binary: another one can serve other kinds of models.
  std::string worker_binary = "torchfleet-worker";
  // Of RosterOptions.
  absl::Duration scale_in_after = absl::Minutes(1);
  std::string log_format = "text";
  std::string log_level = "info";
};

// Runs until interrupted; the process's exit code.
int RunUp(const UpOptions& options);

}  // namespace torchfleet::cli
