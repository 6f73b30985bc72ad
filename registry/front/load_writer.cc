#include "registry/front/load_writer.h"

#include <chrono>

#include "registry/state/keys.h"

namespace torchfleet::registry {

LoadWriter::LoadWriter(absl::Duration interval, Store& store, const Fleet& fleet)
    : interval_(interval), store_(store), fleet_(fleet), waiting_(std::make_shared<Waiting>()) {
  thread_ = std::thread([this] { Run(); });
}

LoadWriter::~LoadWriter() { Stop(); }

void LoadWriter::Stop() {
  {
    const std::lock_guard lock(waiting_->mu);
    waiting_->stopping = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void LoadWriter::Put(WaitingLoad load) {
  const std::lock_guard lock(waiting_->mu);
  waiting_->batch.Put(std::move(load));
}

void LoadWriter::Run() {
  std::unique_lock lock(waiting_->mu);
  while (!waiting_->stopping) {
    changed_.wait_for(lock, absl::ToChronoNanoseconds(interval_));
    if (waiting_->stopping || waiting_->under_way || waiting_->batch.empty()) continue;
    waiting_->under_way = true;
    std::vector<WaitingLoad> loads = waiting_->batch.Take();
    lock.unlock();
    Write(std::move(loads));
    lock.lock();
  }
}

void LoadWriter::Write(std::vector<WaitingLoad> loads) {
  fleet_.Read([&](const FleetState& state) {
    std::erase_if(loads, [&](const WaitingLoad& load) {
      const auto registration = state.Find(load.worker_id);
      return !registration || registration->epoch != load.epoch;
    });
  });
  Transaction transaction{.space = Space::kLive};
  for (const WaitingLoad& load : loads) {
    transaction.conditions.push_back({Key(kWorkers, load.worker_id), load.epoch});
    transaction.writes.push_back({Key(kLoads, load.worker_id), load.value, load.lease});
  }
  auto waiting = waiting_;
  if (loads.empty()) {
    const std::lock_guard lock(waiting->mu);
    waiting->under_way = false;
    return;
  }
  store_.Commit(std::move(transaction),
                [waiting, loads = std::move(loads)](const absl::StatusOr<uint64_t>& committed) {
                  const std::lock_guard lock(waiting->mu);
                  waiting->under_way = false;
                  if (committed.ok()) return;
                  for (const WaitingLoad& load : loads) waiting->batch.PutBack(load);
                });
}

}  // namespace torchfleet::registry
