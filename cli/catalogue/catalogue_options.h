#pragma once
// What the commands `model` and `route` have on the command line, each its part.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace torchfleet::cli {

// A trial as the command line has it; what is 0 or empty is the registry's default,
// or as it was.
struct CanaryWords {
  // The version on trial, and the one beside it: version or alias, with
  // OTHER-MODEL/ before it.
  std::string version = {};
  std::string stable = {};
  std::string steps = "1,5,25,50,100";
  absl::Duration step_time = absl::Minutes(1);
  uint32_t min_calls = 0;
  uint32_t max_more_errors_percent = 0;
  uint32_t max_latency_percent = 0;
  bool end = false;
};

struct CatalogueOptions {
  // host:port, or several with commas between; empty: the fleet that runs here.
  std::string registry;
  absl::Duration timeout = absl::Seconds(10);
  std::string format = "table";
  // For the audit trail.
  std::string actor;

  // A model.
  std::string name;
  // As of catalogue_words.h.
  std::vector<std::string> words;
  // A path; - for standard input.
  std::string file;
  // The revision that it must have now; 0: any.
  uint64_t revision = 0;
  bool force = false;

  // Lists.
  std::string prefix;
  std::vector<std::string> labels;
  uint32_t limit = 20;

  std::string by_header;
  CanaryWords canary;

  // The subcommand that was given; returns the exit code.
  std::function<int(const CatalogueOptions&)> run;
};

}  // namespace torchfleet::cli
