#pragma once
// Which versions of a model run while its versions change. Pure.
//
//   wanted ─► starts ─► served ─► runs on unwanted until those wanted are up ─► gone
//               └─► gone, when nobody wants it any more
//
// A version that is wanted no more, but has served, stays until every version that
// is wanted has all its workers: a new version that never comes up leaves the old
// one serving. One that has never served leaves at once.

#include <cstdint>
#include <map>
#include <set>
#include <vector>

namespace torchfleet::cli {

class RolloutPolicy {
 public:
  // The versions to run from now on. `wanted`: those that the model's policy
  // serves; none: nothing is to run. `serving` have a worker that takes calls, in
  // `complete` all of their workers do.
  std::set<int64_t> Decide(const std::vector<int64_t>& wanted, const std::set<int64_t>& serving,
                           const std::set<int64_t>& complete);

 private:
  // Those that run, and whether they have ever served.
  std::map<int64_t, bool> running_;
};

}  // namespace torchfleet::cli
