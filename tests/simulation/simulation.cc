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
  for (size_t i = 0; i < options.workers; ++i) {
    workers_.push_back(std::make_unique<SimWorker>(events_, options.worker, random_()));
  }
  for (size_t i = 0; i < options.gateways; ++i) {
    size_t near = 0;
    const std::vector<SimWorker*> all = SeenBy(i, near);
    gateways_.push_back(
        std::make_unique<SimGateway>(events_, options.gateway, all, near, tally_, random_()));
  }
}

std::vector<SimWorker*> Simulation::SeenBy(size_t gateway, size_t& near) const {
  std::vector<SimWorker*> all, others;
  for (size_t i = 0; i < workers_.size(); ++i) {
    const bool same = i % options_.zones == gateway % options_.zones;
    (same ? all : others).push_back(workers_[i].get());
  }
  near = options_.zones > 1 ? all.size() : 0;
  all.insert(all.end(), others.begin(), others.end());
  return all;
}

SimGateway& Simulation::AGateway() {
  if (first_share_ == 0) return *gateways_[random_() % gateways_.size()];
  if (std::bernoulli_distribution(first_share_)(random_)) return *gateways_[0];
  return *gateways_[1 + random_() % (gateways_.size() - 1)];
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
    AGateway().Call();
    NextCall(end);
  });
}

void Simulation::KillAndRestart(size_t i, absl::Duration after) {
  workers_[i]->Kill();
  events_.After(after, [this, i] {
    workers_[i]->Start();
    for (const auto& gateway : gateways_) gateway->Renewed(*workers_[i]);
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
  figures.at_home = static_cast<double>(tally_.at_home) /
                    static_cast<double>(std::max<uint64_t>(1, tally_.attempts));
  figures.refused = tally_.refused;
  return figures;
}

}  // namespace torchfleet::simulation
