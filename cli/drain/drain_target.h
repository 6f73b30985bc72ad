#pragma once
// What `torchfleet drain NAME` means in a fleet, and how far it has come. Pure.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "torchfleet/registry/v1/registry.pb.h"

namespace torchfleet::cli {

// The worker of that name, else all workers of the model of that name. NOT_FOUND
// when there is neither.
absl::StatusOr<torchfleet::registry::v1::DrainRequest> DrainTarget(
    const torchfleet::registry::v1::WatchResponse& fleet, const std::string& name);

// Follows workers until they are gone.
class DrainProgress {
 public:
  // Of these workers, as they were registered in `fleet`.
  DrainProgress(const std::vector<std::string>& worker_ids,
                const torchfleet::registry::v1::WatchResponse& fleet);

  // What the registry says next; a line for each worker that has come further.
  std::vector<std::string> Apply(const torchfleet::registry::v1::WatchResponse& response);

  // All are gone, or have been replaced by others of their names.
  bool done() const { return left_.empty(); }
  // Those that are not.
  std::vector<std::string> left() const;

 private:
  struct Left {
    uint64_t epoch = 0;
    torchfleet::registry::v1::WorkerState state = {};
    torchfleet::registry::v1::DrainPhase phase = {};
  };
  // An Endpoint or a Condition.
  template <typename Said>
  void Note(const std::string& worker_id, const Said& said, std::vector<std::string>& lines);
  void Gone(const std::string& worker_id, std::vector<std::string>& lines);

  std::map<std::string, Left> left_;
};

}  // namespace torchfleet::cli
