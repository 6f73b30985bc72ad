#pragma once
// Which workers are to run: of a repository's versions, the catalogue's wishes and
// the fleet as the registry shows it. Pure.
//
// As many for each version as the catalogue wishes, else as the user said, else
// one; between the bounds where the catalogue has some, by the load (ScalePolicy).
// A new version starts beside the one that it replaces (RolloutPolicy), with as
// many workers as that has. A version that an alias or a route names is served on,
// whatever the model's own policy serves.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "cli/client/fleet_mirror.h"
#include "cli/up/fleet_plan.h"
#include "cli/up/rollout_policy.h"
#include "cli/up/scale_policy.h"

namespace torchfleet::cli {

class WorkerPlan {
 public:
  // `hold_down`: of ScalePolicy.
  WorkerPlan(const FleetPlan& plan, absl::Duration hold_down);

  // A model's versions from now on; none when there is no such model any more.
  void SetVersions(const std::string& model, const std::vector<int64_t>& versions);

  // Sorted by model, version and replica.
  std::vector<PlannedWorker> Decide(const FleetMirror& fleet, Instant now);

  // By model: the versions that are to be served, and those that still are.
  std::map<std::string, std::vector<int64_t>> Versions() const;

  // What was decided since the last time, for a person to read.
  std::vector<std::string> TakeNotes();

 private:
  struct Model {
    // By its own policy; and by what the catalogue names.
    std::vector<int64_t> wanted = {};
    std::set<int64_t> named = {};
    std::set<int64_t> running = {};
    RolloutPolicy rollout = {};
    // Of versions whose workers the load counts.
    std::map<int64_t, ScalePolicy> scales = {};
  };

  // How many workers a version is to have.
  int Count(const std::string& name, Model& model, int64_t version,
            const registry::v1::Placement& placement, const FleetMirror& fleet, Instant now);
  int Begin(const std::string& name, const Model& model,
            const registry::v1::Placement& placement) const;
  void NoteRollout(const std::string& name, const Model& model, const std::set<int64_t>& before);

  const absl::Duration hold_down_;
  const std::map<std::string, int> replicas_;
  std::map<std::string, Model> models_;
  std::vector<std::string> notes_;
};

}  // namespace torchfleet::cli
