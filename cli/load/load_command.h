#pragma once
// `torchfleet load`: many calls of one model, and how long they took.

#include <string>
#include <vector>

#include "absl/time/time.h"

namespace torchfleet::cli {

struct LoadOptions {
  std::string model;
  std::string version;
  // As for `torchfleet infer`; none: made from the model's metadata.
  std::vector<std::string> inputs;
  int64_t batch = 0;
  uint64_t seed = 1;
  // host:port; empty: the fleet that runs here.
  std::string gateway;
  std::string tls_ca;
  std::string protocol = "grpc";
  // Of REST.
  int http = 1;
  // A closed loop of so many calls, unless there is a rate or arrivals.
  int concurrency = 1;
  double rate = 0;
  std::string arrivals;
  int max_in_flight = 10000;
  // 0: as many as fit the protocol.
  int connections = 0;
  int threads = 1;
  absl::Duration warm_up = absl::Seconds(1);
  absl::Duration duration = absl::Seconds(10);
  uint64_t calls = 0;
  absl::Duration timeout = absl::Seconds(10);
  bool check = false;
  std::string format = "table";
};

// The process's exit code: kFailed when any call failed or was not sent.
int RunLoad(const LoadOptions& options);

}  // namespace torchfleet::cli
