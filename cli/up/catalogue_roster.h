#pragma once
// Keeps a repository and the registry's catalogue in step: tells the catalogue
// which models and versions there are, and follows what it wishes of them.
//
//   Begin ─► follow the catalogue ─► Take gives workers, again after each change
//       └──► publish each model: add it, or bring its versions up to date
//
// What owners wrote (labels, aliases, placement) is left as it is, but for
// replicas that the user of this command asked for. Without a catalogue that can
// be written the workers run all the same.
//
// Lifecycle: Begin once; destruction waits for its threads. Borrows the
// launcher, which it wakes. Thread-safe.

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "cli/up/supervisor.h"
#include "registry/client/watcher.h"

namespace torchfleet::cli {

class CatalogueRoster : public Roster {
 public:
  // `say` is called on the roster's own threads.
  CatalogueRoster(std::filesystem::path repository, FleetPlan plan, Launcher& launcher,
                  std::function<void(const std::string&)> say);
  ~CatalogueRoster() override;

  void Begin(const std::string& registry_address) override;
  std::optional<std::vector<PlannedWorker>> Take() override;
  std::optional<uint64_t> WishAtDrain(const std::string& worker_id) override;

 private:
  // A worker as the registry has it.
  struct SeenWorker {
    std::string model;
    // Of its model when it was first seen to drain.
    std::optional<uint64_t> wish_at_drain = std::nullopt;
  };

  void OnChange(const registry::v1::WatchResponse& change);
  void TakeModels(const registry::v1::WatchResponse& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TakeWorkers(const registry::v1::WatchResponse& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TakeState(const std::string& worker_id, registry::v1::WorkerState state)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Publish(const std::string& registry_address);

  const std::filesystem::path repository_;
  const FleetPlan plan_;
  Launcher& launcher_;
  const std::function<void(const std::string&)> say_;

  std::mutex mu_;
  ModelWishes wishes_ ABSL_GUARDED_BY(mu_);
  // By worker_id. Those that are gone stay: they have drained.
  std::map<std::string, SeenWorker> workers_ ABSL_GUARDED_BY(mu_);
  bool changed_ ABSL_GUARDED_BY(mu_) = false;

  std::atomic<bool> stopping_ = false;
  std::unique_ptr<registry::Watcher> watcher_;
  std::thread publisher_;
};

}  // namespace torchfleet::cli
