#pragma once
// What the commands `model` and `route` have on the command line, each its part.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace torchfleet::cli {

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

  // The subcommand that was given; returns the exit code.
  std::function<int(const CatalogueOptions&)> run;
};

}  // namespace torchfleet::cli
