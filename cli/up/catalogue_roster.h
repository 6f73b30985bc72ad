#pragma once
// Keeps a fleet, its repository and the registry's catalogue in step.
//
//   repository ─► looked at each second ─┐
//   registry's watch ────────────────────┴► WorkerPlan ─► Take gives workers
//                                               └► versions ─► the catalogue
//
// Versions and models that come or go are followed while the fleet runs. Without a
// catalogue that can be written the workers run all the same, and it is tried
// again.
//
// Lifecycle: Begin once; destruction waits for its threads. Borrows the
// launcher, which it wakes, and the clock. Thread-safe.

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/clock.h"
#include "cli/client/fleet_mirror.h"
#include "cli/up/catalogue_publisher.h"
#include "cli/up/repository_watch.h"
#include "cli/up/supervisor.h"
#include "cli/up/worker_plan.h"
#include "registry/client/watcher.h"

namespace torchfleet::cli {

struct RosterOptions {
  std::filesystem::path repository;
  // What it held when that was read.
  FleetPlan plan;
  // How long fewer workers must have been enough before there are fewer.
  absl::Duration scale_in_after = absl::Minutes(1);
};

class CatalogueRoster : public Roster {
 public:
  // `say` is called on the roster's own threads.
  CatalogueRoster(RosterOptions options, Launcher& launcher, const Clock& clock,
                  std::function<void(const std::string&)> say);
  ~CatalogueRoster() override;

  void Begin(const std::string& registry_address) override;
  std::optional<std::vector<PlannedWorker>> Take() override;
  std::optional<uint64_t> WishAtDrain(const std::string& worker_id) override;

 private:
  void OnChange(const registry::v1::WatchResponse& change);
  void NoteDrains() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Asks the plan; says what it decided and wakes the launcher where that is new.
  void Decide();
  // The repository's side, until the end.
  void Tend(const std::string& registry_address);
  void LookAtRepository();
  void TakeChange(const RepositoryWatch::Change& change);
  void PublishAll(CataloguePublisher& publisher);
  // What is wrong with `name`; empty when nothing is. Each text once in a row.
  void SayOnce(const std::string& name, const std::string& text);

  const std::filesystem::path repository_;
  const std::map<std::string, int> replicas_;
  Launcher& launcher_;
  const Clock& clock_;
  const std::function<void(const std::string&)> say_;

  // Only on the tending thread.
  RepositoryWatch files_;
  // Versions as the catalogue has them.
  std::map<std::string, std::vector<int64_t>> published_;
  std::set<std::string> unpublished_;
  std::map<std::string, std::string> said_;

  std::mutex mu_;
  std::condition_variable stopped_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  FleetMirror fleet_ ABSL_GUARDED_BY(mu_);
  WorkerPlan plan_ ABSL_GUARDED_BY(mu_);
  // The revision of its model when a worker was first seen to drain. Those that
  // are gone stay: they have drained.
  std::map<std::string, uint64_t> wish_at_drain_ ABSL_GUARDED_BY(mu_);
  // Nothing before the registry has told of the fleet.
  std::optional<std::vector<PlannedWorker>> workers_ ABSL_GUARDED_BY(mu_);
  bool seen_ ABSL_GUARDED_BY(mu_) = false;
  bool changed_ ABSL_GUARDED_BY(mu_) = false;

  std::unique_ptr<registry::Watcher> watcher_;
  std::thread tending_;
};

}  // namespace torchfleet::cli
