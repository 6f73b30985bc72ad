#include "registry/front/load_writer.h"

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <condition_variable>
#include <future>

#include "registry/store/memory_store.h"
#include "tests/unit/registry/fleet_model.h"

namespace torchfleet::registry {
namespace {

TEST_CASE("LoadBatch: takes the longest waiting first, of each worker the latest",
          "[registry][state]") {
  LoadBatch batch;
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 150; ++i) {
      batch.Put({.worker_id = std::to_string(i), .epoch = static_cast<uint64_t>(round)});
    }
  }
  auto first = batch.Take();
  REQUIRE(first.size() == kMaxWrites);
  CHECK(first[0].worker_id == "0");
  CHECK(first[99].worker_id == "99");
  CHECK(first[99].epoch == 1);
  // What could not be written waits again, unless there is something later.
  batch.Put({.worker_id = "1", .epoch = 2});
  for (auto& load : first) batch.PutBack(std::move(load));
  const auto second = batch.Take();
  CHECK(second[0].worker_id == "100");
  CHECK(second[50].worker_id == "1");
  CHECK(second[50].epoch == 2);
  CHECK(batch.Take().size() == 50);
  CHECK(batch.empty());
}

class Waiter : public FleetListener {
 public:
  void OnChange(bool) override {
    const std::lock_guard lock(mu_);
    ++changes_;
    changed_.notify_all();
  }
  void OnDrainWishes(const std::vector<std::string>&) override {}
  void OnAvailable(bool) override {}
  bool Await(const std::function<bool()>& reached) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, std::chrono::seconds(20), reached);
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  int changes_ = 0;
};

TEST_CASE(
    "LoadWriter: writes all that waits, but not of a registration that was followed by another",
    "[registry][front]") {
  const MonotonicClock clock;
  MemoryStore store(clock);
  Fleet fleet({}, clock);
  Waiter waiter;
  fleet.SetListener(waiter);
  store.Follow(fleet);
  std::promise<LeaseId> granted;
  store.Grant(absl::Minutes(5), [&](absl::StatusOr<LeaseId> lease) { granted.set_value(*lease); });
  const LeaseId lease = granted.get_future().get();
  constexpr int kWorkers = 250;
  for (int i = 0; i < kWorkers; ++i) {
    const std::string id = std::to_string(i);
    store.Commit({.space = Space::kLive,
                  .writes = {{Key(torchfleet::registry::kWorkers, id), Bytes(AWorker(id)), lease}}},
                 [](const absl::StatusOr<uint64_t>& committed) { REQUIRE(committed.ok()); });
  }
  const auto epoch = [&](int i) {
    const auto found = fleet.Read([&](const FleetState& s) { return s.Find(std::to_string(i)); });
    return found ? found->epoch : 0;
  };
  REQUIRE(waiter.Await([&] { return epoch(kWorkers - 1) != 0; }));
  LoadWriter writer(absl::Milliseconds(1), store, fleet);
  for (int i = 0; i < kWorkers; ++i) {
    writer.Put({std::to_string(i), epoch(i) - (i == 7 ? 1 : 0), lease, Bytes(ALoad(3))});
  }
  const auto loaded = [&] {
    const auto all = Parsed(fleet.Read([](const FleetState& s) { return s.Snapshot({}); }));
    int count = 0;
    for (const auto& e : all.snapshot().endpoints()) count += e.load().queued() == 3 ? 1 : 0;
    return count;
  };
  CHECK(waiter.Await([&] { return loaded() == kWorkers - 1; }));
  writer.Stop();
  store.Unfollow(fleet);
}

}  // namespace
}  // namespace torchfleet::registry
