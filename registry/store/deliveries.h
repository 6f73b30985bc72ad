#pragma once
// Tells followers what has changed, and callers what came of their calls, in
// the order of the changes.
//
// Changes are queued under the lock that made them; whoever comes to Deliver
// while nobody delivers does it for all. So a listener or a callback may call
// the store again: what that brings is delivered after it.
//
//   queued ─► Deliver: listeners, then the callback ─► next
//
// Thread-safe. Calls nobody while it holds mu_.

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "registry/store/key_space.h"

namespace torchfleet::registry {

class Deliveries {
 public:
  struct Snapshot {
    std::vector<Item> catalogue, live;
    Position position;
  };

  // The listener hears everything there is, then every change queued after
  // this. Borrowed until Remove returns.
  void Add(StoreListener& listener, Snapshot snapshot);
  // Waits for a call that is under way, unless it is called from there.
  void Remove(StoreListener& listener);

  // `done` (which may be nothing) is called when the followers have heard.
  void Tell(KeySpace::Change change, std::function<void()> done);

  // After each of the above, with no lock held.
  void Deliver();

 private:
  struct Entry {
    std::function<void(StoreListener&)> tell = nullptr;
    // Whose first news this is; nullptr: for all.
    StoreListener* newcomer = nullptr;
    std::function<void()> done = nullptr;
  };
  void Enqueue(Entry entry);
  void TellFollowers(const Entry& entry, std::unique_lock<std::mutex>& lock);

  std::mutex mu_;
  std::condition_variable told_;
  std::deque<Entry> queue_ ABSL_GUARDED_BY(mu_);
  // Those who have had their first news.
  std::vector<StoreListener*> followers_ ABSL_GUARDED_BY(mu_);
  StoreListener* being_told_ ABSL_GUARDED_BY(mu_) = nullptr;
  std::thread::id deliverer_ ABSL_GUARDED_BY(mu_);
};

}  // namespace torchfleet::registry
