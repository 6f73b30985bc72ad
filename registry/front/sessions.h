#pragma once
// The sessions of all workers on this registry, by worker, and what they share.
//
// Lifecycle: Stop before the streams end, so that none counts as broken;
// destroyed after the last session. Borrows store, fleet and the load writer.
// Thread-safe.

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "registry/front/worker_session.h"

namespace torchfleet::registry {

struct SessionFigures {
  uint64_t registrations = 0, renewals = 0, leaves = 0, broken = 0, refused = 0;
};

class Sessions {
 public:
  struct Options {
    absl::Duration ttl = absl::Seconds(5);
    // How long a worker that has failed and ended is to be seen.
    absl::Duration failed_stays = absl::Minutes(5);
    // How long it is known why a worker left.
    absl::Duration left_stays = absl::Hours(24);
  };

  // `loads`: nothing where loads are written at once.
  Sessions(Options options, Store& store, const Fleet& fleet, LoadWriter* loads)
      : options_(options), store_(store), fleet_(fleet), loads_(loads) {}

  // Streams that end from now on are the registry's doing.
  void Stop() { stopping_ = true; }
  bool stopping() const { return stopping_; }

  // The session that holds that worker's lease; a later one replaces it.
  void Add(const std::string& worker_id, const std::shared_ptr<WorkerSession>& session);
  void Remove(const std::string& worker_id, const WorkerSession& session);
  // Tells these workers to drain, where they are on this registry.
  void PushDrains(const std::vector<std::string>& worker_ids);

  const Options& options() const { return options_; }
  Store& store() { return store_; }
  const Fleet& fleet() const { return fleet_; }
  LoadWriter* loads() { return loads_; }

  // Counts of what sessions do.
  struct Counters {
    std::atomic<uint64_t> registrations = 0, renewals = 0, leaves = 0, broken = 0, refused = 0;
  };
  Counters& counters() { return counters_; }
  SessionFigures figures() const {
    return {counters_.registrations, counters_.renewals, counters_.leaves, counters_.broken,
            counters_.refused};
  }

 private:
  const Options options_;
  Store& store_;
  const Fleet& fleet_;
  LoadWriter* const loads_;
  Counters counters_;
  std::atomic<bool> stopping_ = false;
  std::mutex mu_;
  std::map<std::string, std::weak_ptr<WorkerSession>> sessions_ ABSL_GUARDED_BY(mu_);
};

}  // namespace torchfleet::registry
