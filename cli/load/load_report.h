#pragma once
// A load's result for people and for programs. Pure.

#include <string>

#include "absl/time/time.h"
#include "cli/load/load_tally.h"

namespace torchfleet::cli {

struct LoadReport {
  std::string model;
  std::string address;
  // gRPC, REST over HTTP/1.1, …
  std::string protocol;
  // 0 for a closed loop, or one with given arrivals.
  double rate = 0;
  bool open = false;
  int concurrency = 1;
  int connections = 1;
  int threads = 1;
  // In which the calls that count began: what calls a second are of.
  absl::Duration window;
  // Of this process, over the whole run.
  absl::Duration cpu;
  LoadTally tally;
};

std::string ReportAsText(const LoadReport& report);
// One object on a line; latencies in milliseconds.
std::string ReportAsJson(const LoadReport& report);

// A line on how the last second went.
std::string ProgressLine(absl::Duration since_start, const Histogram& latency, uint64_t failed,
                         int64_t in_flight);

}  // namespace torchfleet::cli
