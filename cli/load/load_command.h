#pragma once
// `torchfleet load`: many calls of one model, and how long they took.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace torchfleet::cli {

// What is called, with what.
struct LoadCallOptions {
  std::string model;
  std::string version;
  // As for `torchfleet infer`; none: made from the model's metadata.
  std::vector<std::string> inputs;
  // A file of requests; empty: the inputs above.
  std::string requests;
  bool shuffle = false;
  int64_t batch = 0;
  // host:port; empty: the fleet that runs here.
  std::string gateway;
  std::string tls_ca;
  std::string protocol = "grpc";
  // Of REST.
  int http = 1;
};

// When calls begin, and how many.
struct LoadPatternOptions {
  // A closed loop of so many calls, unless there is a rate or arrivals.
  int concurrency = 1;
  double rate = 0;
  std::string arrivals;
  int max_in_flight = 10000;
  absl::Duration warm_up = absl::Seconds(1);
  // 0: ten seconds, or as long as the arrivals go on.
  absl::Duration duration;
  uint64_t calls = 0;
  absl::Duration timeout = absl::Seconds(10);
};

struct LoadOptions {
  LoadCallOptions call;
  LoadPatternOptions pattern;
  // 0: as many as fit the protocol.
  int connections = 0;
  int threads = 1;
  uint64_t seed = 1;
  bool check = false;
  // Codes besides OK that a call may end with.
  std::vector<std::string> expected;
  std::string format = "table";
};

// The process's exit code: kFailed when any call failed, was not sent, or none was
// answered well; kUsage
// for options that do not go together.
int RunLoad(const LoadOptions& options);

}  // namespace torchfleet::cli
