#include "tests/simulation/simulation.h"

#include <algorithm>
#include <cmath>

namespace torchfleet::simulation {
namespace {

double CallsPerSecond(const FleetOptions& options) {
  const WorkerOptions& worker = options.worker;
  const double mean = absl::ToDoubleSeconds(worker.service) *
                      std::exp(worker.spread * worker.spread / 2) *
                      (1 + worker.stragglers * (worker.straggler_factor - 1));
  return worker.capacity / mean * static_cast<double>(options.workers);
}

// Milliseconds.
double Quantile(std::vector<absl::Duration>& all, double share) {
  if (all.empty()) return 0;
  const auto place = static_cast<std::ptrdiff_t>(share * static_cast<double>(all.size() - 1));
  std::nth_element(all.begin(), all.begin() + place, all.end());
  return absl::ToDoubleMilliseconds(all[static_cast<size_t>(place)]);
}

}  // namespace

Simulation::Simulation(const FleetOptions& options)
    : options_(options), random_(options.seed), load_(options.load) {
  std::vector<SimWorker*> all;
  for (size_t i = 0; i < options.workers; ++i) {
    workers_.push_back(std::make_unique<SimWorker>(events_, options.worker, random_()));
    all.push_back(workers_.back().get());
  }
  for (size_t i = 0; i < options.gateways; ++i) {
    gateways_.push_back(
        std::make_unique<SimGateway>(events_, options.gateway, all, tally_, random_()));
  }
}

void Simulation::Run(absl::Duration length) {
  const Instant end = events_.now() + length;
  NextCall(end);
  events_.Run(end);
}

void Simulation::NextCall(Instant end) {
  std::exponential_distribution<double> gap(CallsPerSecond(options_) * load_);
  const Instant when = events_.now() + absl::Seconds(gap(random_));
  if (when >= end) return;
  events_.At(when, [this, end] {
    gateways_[random_() % gateways_.size()]->Call();
    NextCall(end);
  });
}

void Simulation::KillAndRestart(size_t i, absl::Duration after) {
  workers_[i]->Kill();
  events_.After(after, [this, i] {
    workers_[i]->Start();
    for (const auto& gateway : gateways_) gateway->Renewed(i);
  });
}

Figures Simulation::Measure(absl::Duration from, absl::Duration to) const {
  Figures figures;
  std::vector<absl::Duration> took;
  for (const Tally::Call& call : tally_.calls) {
    const absl::Duration age = call.began - began_;
    if (age < from || age >= to) continue;
    ++figures.calls;
    if (call.ok) {
      took.push_back(call.took);
    } else {
      ++figures.failed;
    }
  }
  figures.goodput = static_cast<double>(took.size()) /
                    (CallsPerSecond(options_) * absl::ToDoubleSeconds(to - from));
  figures.p50 = Quantile(took, 0.5);
  figures.p99 = Quantile(took, 0.99);
  figures.attempts_per_call = static_cast<double>(tally_.attempts) /
                              static_cast<double>(std::max<size_t>(1, tally_.calls.size()));
  figures.refused = tally_.refused;
  return figures;
}

}  // namespace torchfleet::simulation
