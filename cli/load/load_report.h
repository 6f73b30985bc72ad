#pragma once
// A load's result for people and for programs. Pure.

#include <set>
#include <string>

#include "absl/time/time.h"
#include "cli/load/load_progress.h"
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
  // 0: over HTTP/1.1 each call in flight has one.
  int connections = 1;
  int threads = 1;
  // Of this process, over the whole run.
  absl::Duration cpu;
  // Codes besides OK that are no failures.
  std::set<std::string> expected;
  LoadTally tally;
};

std::string ReportAsText(const LoadReport& report);
// One object on a line; latencies in milliseconds.
std::string ReportAsJson(const LoadReport& report);

// A line on how the interval went that took `length`.
std::string ProgressLine(absl::Duration since_start, absl::Duration length,
                         const LoadProgress::Interval& interval);

}  // namespace torchfleet::cli
