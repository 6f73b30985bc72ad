#pragma once
// What gateways counted of workers and models, added up. Pure.
//
// Of each gateway its page /workers is read (gateway/metrics/workers_page.h).

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/latency_buckets.h"

namespace torchfleet::cli {

// What both have.
struct CallFigures {
  uint64_t calls = 0, retries = 0, hedges = 0;
  int64_t in_flight = 0;
  // Between two looks.
  std::optional<double> calls_per_second = std::nullopt;
  // Answers of workers of about the last ten seconds.
  LatencyBuckets::Counts late = {};
};

struct WorkerFigures : CallFigures {
  // Attempts by how they ended: answered, failed, refused …
  std::map<std::string, uint64_t> outcomes = {};
  uint64_t ejections = 0;
  // How many gateways know it, and how many send it nothing now; why the last of
  // them does so.
  int gateways = 0, ejected_by = 0;
  std::string reason = {};
};

struct ModelFigures : CallFigures {
  int64_t waiting = 0;
  uint64_t capacity = 0, refused = 0, quarantined = 0;
};

struct FleetFigures {
  std::map<std::string, WorkerFigures> workers = {};
  std::map<std::string, ModelFigures> models = {};
  // The addresses of those that were heard, and what is wrong with the others.
  std::vector<std::string> heard = {};
  std::vector<std::string> unheard = {};

  bool asked() const { return !heard.empty() || !unheard.empty(); }
};

// Adds what the gateway at `address` said; a page that is none is told in `unheard`.
void AddPage(const std::string& address, const std::string& page, FleetFigures& figures);

// Calls a second since `before`, `passed` ago. None where other gateways were heard
// then, or where a count has fallen.
void SetRates(const FleetFigures& before, absl::Duration passed, FleetFigures& now);

}  // namespace torchfleet::cli
