// What a gateway does when the registry speaks, with 10,000 workers: how long it
// takes to make a snapshot of what was said, and how long a call can be kept from
// its fleet by it. Prints a line of JSON for each fleet.
//
//   torchfleet-bench-fleet [rounds]

#include <fmt/format.h>

#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "base/snapshot.h"
#include "gateway/discover/fleet.h"
#include "gateway/forward/backend.h"
#include "gateway/forward/backend_group.h"
#include "gateway/route/route_policy.h"

namespace torchfleet::gateway {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kWorkers = 10'000;

double Microseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::micro>(duration).count();
}

double Quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(static_cast<double>(values.size() - 1) * share)];
}

std::string ModelOf(int worker, int models) { return fmt::format("model-{}", worker % models); }

registry::v1::WatchResponse Everybody(int models) {
  registry::v1::WatchResponse response;
  response.set_incarnation("life");
  for (int i = 0; i < kWorkers; ++i) {
    auto* endpoint = response.mutable_snapshot()->add_endpoints();
    auto* worker = endpoint->mutable_worker();
    worker->set_worker_id(fmt::format("worker-{:05}", i));
    worker->set_address(fmt::format("10.{}.{}.{}:8001", i / 65536, i / 256 % 256, i % 256));
    worker->set_model(ModelOf(i, models));
    worker->set_version("1");
    for (auto* tensor : {worker->add_inputs(), worker->add_outputs()}) {
      tensor->set_name("INPUT__0");
      tensor->set_datatype("FP32");
      tensor->add_shape(-1);
    }
    endpoint->set_epoch(static_cast<uint64_t>(i) + 1);
    endpoint->set_state(registry::v1::WORKER_STATE_READY);
  }
  return response;
}

registry::v1::WatchResponse OneChanges(int worker, bool ready) {
  registry::v1::WatchResponse response;
  response.set_incarnation("life");
  auto* condition = response.mutable_delta()->add_conditions();
  condition->set_worker_id(fmt::format("worker-{:05}", worker));
  condition->set_state(ready ? registry::v1::WORKER_STATE_READY
                             : registry::v1::WORKER_STATE_DRAINING);
  return response;
}

// As the gateway publishes.
struct Published {
  Snapshot<FleetSnapshot> fleet;
  BackendTable backends;
  std::vector<std::shared_ptr<const FleetSnapshot>> retired;

  void Set(const FleetSnapshot& snapshot, const FleetChange& change) {
    backends.Update(change.addresses, Instant());
    retired.push_back(fleet.Get());
    fleet.Set(snapshot);
    std::erase_if(retired, [](const auto& old) { return old.use_count() == 1; });
  }
};

double ThreadMicroseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

// Calls that look up their fleet, route and the backends to choose from all the
// time, and how long each worked at it that met a new fleet. In CPU time: all that
// they wait for is a pointer's lock, and whoever else runs here is not the fleet's.
std::vector<double> Pauses(const Published& published, const std::string& model,
                           const std::atomic<bool>& stop) {
  std::vector<double> pauses;
  const Snapshot<FleetSnapshot>& fleet = published.fleet;
  SnapshotView<FleetSnapshot> view(fleet);
  BackendGroups groups(published.backends.table());
  uint64_t generation = 0;
  while (!stop.load(std::memory_order_relaxed)) {
    const bool met = fleet.generation() != generation;
    const double began = ThreadMicroseconds();
    generation = fleet.generation();
    const auto route = RoutePolicy::Choose(*view.Get(), model, "");
    // Not where its only worker drains just now.
    if (route.ok() && groups.Of(*route)->backends.empty()) std::abort();
    const double took = ThreadMicroseconds() - began;
    if (met) pauses.push_back(took);
  }
  return pauses;
}

void Measure(int models, int rounds) {
  Fleet fleet;
  Published published;
  const auto everybody = Everybody(models);
  const auto began = Clock::now();
  auto outcome = fleet.Apply(everybody, Instant());
  const double applied = Microseconds(Clock::now() - began);
  published.Set(fleet.Snapshot(), outcome.change);
  const double whole = Microseconds(Clock::now() - began);

  std::atomic<bool> stop = false;
  std::vector<double> pauses;
  std::thread caller([&] { pauses = Pauses(published, ModelOf(0, models), stop); });
  std::vector<double> deltas;
  for (int i = 0; i < rounds; ++i) {
    const auto change = OneChanges(i / 2 * 7919 % kWorkers, i % 2 == 1);
    const auto at = Clock::now();
    outcome = fleet.Apply(change, Instant());
    published.Set(fleet.Snapshot(), outcome.change);
    deltas.push_back(Microseconds(Clock::now() - at));
    std::this_thread::yield();
  }
  stop = true;
  caller.join();
  if (pauses.empty()) pauses.push_back(0);
  fmt::print(
      "{{\"models\": {}, \"snapshot_us\": {:.1f}, \"published_us\": {:.1f}, \"delta_p50_us\": "
      "{:.1f}, \"delta_p99_us\": {:.1f}, \"swaps_met\": {}, \"pause_p50_us\": {:.2f}, "
      "\"pause_p99_us\": {:.2f}}}\n",
      models, applied, whole, Quantile(deltas, 0.5), Quantile(deltas, 0.99), pauses.size(),
      Quantile(pauses, 0.5), Quantile(pauses, 0.99));
}

}  // namespace
}  // namespace torchfleet::gateway

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 2000;
  for (const int models : {1, 100, 10'000}) torchfleet::gateway::Measure(models, rounds);
}
