#pragma once
// Loads that wait to be written, where writing one by one would be too dear: of
// each worker the latest, so many in one transaction. Pure; not thread-safe.

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "registry/store/store.h"

namespace torchfleet::registry {

struct WaitingLoad {
  std::string worker_id;
  // The registration that said so.
  uint64_t epoch = 0;
  LeaseId lease = 0;
  // Load, as stored.
  Value value = {};
};

class LoadBatch {
 public:
  // Replaces what waits for that worker, in its place.
  void Put(WaitingLoad load) {
    const auto [found, is_new] = loads_.try_emplace(load.worker_id);
    if (is_new) order_.push_back(load.worker_id);
    found->second = std::move(load);
  }

  // As Put, unless a later one waits.
  void PutBack(WaitingLoad load) {
    if (!loads_.contains(load.worker_id)) Put(std::move(load));
  }

  // Those that have waited longest, at most kMaxWrites.
  std::vector<WaitingLoad> Take() {
    std::vector<WaitingLoad> taken;
    while (taken.size() < kMaxWrites && !order_.empty()) {
      taken.push_back(std::move(loads_.extract(order_.front()).mapped()));
      order_.pop_front();
    }
    return taken;
  }

  bool empty() const { return order_.empty(); }

 private:
  std::map<std::string, WaitingLoad> loads_;
  // Their names, the longest waiting first.
  std::deque<std::string> order_;
};

}  // namespace torchfleet::registry
