#pragma once
// A fleet in virtual time: gateways, workers, callers that come at random, and
// what befalls the workers. The same seed gives the same figures.

#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "tests/simulation/event_queue.h"
#include "tests/simulation/sim_gateway.h"
#include "tests/simulation/sim_worker.h"

namespace torchfleet::simulation {

struct FleetOptions {
  size_t workers = 8;
  size_t gateways = 1;
  // Workers and gateways are in so many zones, in turn.
  size_t zones = 1;
  // Of what all workers can answer.
  double load = 0.6;
  WorkerOptions worker = {};
  GatewayOptions gateway = {};
  uint64_t seed = 1;
};

// Of the calls that began in a part of the time.
struct Figures {
  size_t calls = 0, failed = 0;
  double p50 = 0, p99 = 0;  // milliseconds, of calls answered
  // Answers, of what all workers can give.
  double goodput = 0;
  // Of all calls, whenever they began.
  double attempts_per_call = 0;
  // Of all attempts.
  double at_home = 0;
  uint64_t refused = 0;
};

class Simulation {
 public:
  explicit Simulation(const FleetOptions& options);

  // Calls come from now on for so long.
  void Run(absl::Duration length);
  // As many times as many calls.
  void SetLoad(double load) { load_ = load; }
  // The share of the calls that comes to the first gateway; 0: an equal one.
  void SetFirstShare(double share) { first_share_ = share; }
  absl::Duration age() const { return events_.now() - began_; }

  SimWorker& worker(size_t i) { return *workers_[i]; }
  size_t workers() const { return workers_.size(); }
  // Dies, and another process is in its place after a while.
  void KillAndRestart(size_t i, absl::Duration after);
  EventQueue& events() { return events_; }
  const Tally& tally() const { return tally_; }

  // Of calls that began between two ages.
  Figures Measure(absl::Duration from, absl::Duration to) const;

 private:
  void NextCall(Instant end);
  SimGateway& AGateway();
  // All of them, those of a gateway's own zone first, and how many these are.
  std::vector<SimWorker*> SeenBy(size_t gateway, size_t& near) const;

  const FleetOptions options_;
  EventQueue events_;
  const Instant began_ = events_.now();
  std::mt19937_64 random_;
  double load_, first_share_ = 0;
  Tally tally_;
  std::vector<std::unique_ptr<SimWorker>> workers_;
  std::vector<std::unique_ptr<SimGateway>> gateways_;
};

}  // namespace torchfleet::simulation
