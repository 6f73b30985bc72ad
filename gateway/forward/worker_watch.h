#pragma once
// Has the workers of each model judged several times a second, probes those that
// were ejected, by a health check on their own port, and logs what was decided.
//
// Lifecycle: Start once; Stop (or destruction) returns when no probe is under way.
// Borrows all it reads. Judges on a thread of its own.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/clock.h"
#include "base/snapshot.h"
#include "gateway/balance/group_judge.h"
#include "gateway/discover/fleet_snapshot.h"
#include "gateway/forward/backend.h"
#include "gateway/forward/model_calls.h"

namespace torchfleet::gateway {

class WorkerWatch {
 public:
  WorkerWatch(const Snapshot<FleetSnapshot>& fleet, const BackendTable& backends,
              const ModelCallsTable& calls, const Clock& clock);
  ~WorkerWatch();

  void Start();
  void Stop();

 private:
  struct Probe;
  // Workers that are measured by each other: of one version of a model.
  struct Group {
    std::string model;
    std::vector<std::shared_ptr<Backend>> backends;
    std::vector<EndpointHealth*> health;
    std::shared_ptr<ModelCalls> calls;
  };

  void Run();
  void Regroup();
  void AddGroup(const std::string& model, const std::vector<std::string>& addresses);
  void Judge(const Group& group, Instant now);
  // Has each worker remember its latency once a second, a tenth of them at a time.
  void RememberLatencies();
  void Ask(const Group& group, size_t worker);
  // What came of probes since the last time.
  void HearProbes(Instant now);

  const ModelCallsTable& calls_;
  const Clock& clock_;
  SnapshotView<FleetSnapshot> fleet_;
  SnapshotView<BackendTable::Table> table_;
  // What the groups were made of.
  std::shared_ptr<const FleetSnapshot> of_fleet_;
  std::shared_ptr<const BackendTable::Table> of_table_;
  std::vector<Group> groups_;
  size_t turn_ = 0;

  std::mutex mu_;
  std::condition_variable changed_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::unique_ptr<Probe>> probes_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace torchfleet::gateway
