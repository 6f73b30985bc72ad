#include "model-worker/engines.h"

#include <utility>

#include "base/log.h"
#include "model-worker/execute/memory_budget.h"

namespace torchfleet::worker {

Engines::Engines(size_t queue_size, const Engine::Shared& shared)
    : queue_size_(queue_size), shared_(shared), thread_([this] { EndThem(); }) {}

Engines::~Engines() {
  {
    const std::lock_guard lock(mu_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::shared_ptr<Engine> Engines::Make(RepositoryModel model) {
  auto engine = std::make_unique<Engine>(std::move(model), queue_size_, shared_);
  const std::lock_guard lock(mu_);
  std::erase_if(made_, [](const auto& made) { return made.expired(); });
  ++left_;
  std::shared_ptr<Engine> shared(engine.release(), [this](Engine* last) { LetGo(last); });
  made_.push_back(shared);
  return shared;
}

void Engines::Close() {
  std::vector<std::weak_ptr<Engine>> made;
  {
    const std::lock_guard lock(mu_);
    made = made_;
  }
  for (const auto& each : made) {
    if (const auto engine = each.lock()) engine->scheduler().Close();
  }
}

void Engines::LetGo(Engine* engine) {
  const std::lock_guard lock(mu_);
  let_go_.emplace_back(engine);
  changed_.notify_all();
}

void Engines::EndThem() {
  std::unique_lock lock(mu_);
  while (true) {
    changed_.wait(lock, [&] { return !let_go_.empty() || (stopping_ && left_ == 0); });
    if (let_go_.empty()) return;
    std::vector<std::unique_ptr<Engine>> ending = std::exchange(let_go_, {});
    const auto count = static_cast<int>(ending.size());
    lock.unlock();
    ending.clear();
    // The allocator would keep what it got back for the next that asks.
    ReturnFreeMemory();
    LogDebug("engines ended", {{"count", count}});
    lock.lock();
    left_ -= count;
  }
}

}  // namespace torchfleet::worker
