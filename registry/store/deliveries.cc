#include "registry/store/deliveries.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace torchfleet::registry {

void Deliveries::Add(StoreListener& listener, Snapshot snapshot) {
  Enqueue(
      {.tell = [held = std::make_shared<const Snapshot>(std::move(snapshot))](
                   StoreListener& to) { to.OnItems(held->catalogue, held->live, held->position); },
       .newcomer = &listener});
}

void Deliveries::Tell(KeySpace::Change change, std::function<void()> done) {
  Entry entry{.done = std::move(done)};
  if (!change.events.empty()) {
    entry.tell = [held = std::make_shared<const KeySpace::Change>(std::move(change))](
                     StoreListener& to) { to.OnEvents(held->space, held->events, held->revision); };
  }
  Enqueue(std::move(entry));
}

void Deliveries::Enqueue(Entry entry) {
  const std::lock_guard lock(mu_);
  queue_.push_back(std::move(entry));
}

void Deliveries::Remove(StoreListener& listener) {
  std::unique_lock lock(mu_);
  std::erase(followers_, &listener);
  std::erase_if(queue_, [&](const Entry& entry) { return entry.newcomer == &listener; });
  if (deliverer_ == std::this_thread::get_id()) return;
  told_.wait(lock, [&] { return being_told_ != &listener; });
}

void Deliveries::Deliver() {
  std::unique_lock lock(mu_);
  if (deliverer_ != std::thread::id()) return;
  deliverer_ = std::this_thread::get_id();
  while (!queue_.empty()) {
    const Entry entry = std::move(queue_.front());
    queue_.pop_front();
    if (entry.newcomer != nullptr) followers_.push_back(entry.newcomer);
    if (entry.tell) TellFollowers(entry, lock);
    if (entry.done) {
      lock.unlock();
      entry.done();
      lock.lock();
    }
  }
  deliverer_ = std::thread::id();
}

void Deliveries::TellFollowers(const Entry& entry, std::unique_lock<std::mutex>& lock) {
  const std::vector<StoreListener*> followers =
      entry.newcomer == nullptr ? followers_ : std::vector{entry.newcomer};
  for (StoreListener* follower : followers) {
    if (std::find(followers_.begin(), followers_.end(), follower) == followers_.end()) continue;
    being_told_ = follower;
    lock.unlock();
    entry.tell(*follower);
    lock.lock();
    being_told_ = nullptr;
    told_.notify_all();
  }
}

}  // namespace torchfleet::registry
