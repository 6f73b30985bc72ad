#pragma once
// What REST must know of a model's tensors, from the fleet's snapshot, or from
// a worker's own metadata.
//
// Only on its loop's thread.

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "gateway/discover/fleet_snapshot.h"
#include "gateway/protocol/rest/model_spec.h"
#include "inference/grpc_service.pb.h"

namespace torchfleet::gateway {

// Tensors of datatypes that nobody knows are left out.
rest::ModelSpec SpecOf(const inference::ModelMetadataResponse& metadata);

// Specs that were asked for, until the fleet changes.
class ModelSpecs {
 public:
  // The version that a call without one would get; NOT_FOUND and UNAVAILABLE as
  // routing has it. Not before a fixed worker, whose models no snapshot has. The
  // spec stands until the next call.
  absl::StatusOr<const rest::ModelSpec*> Find(const std::shared_ptr<const FleetSnapshot>& fleet,
                                              const std::string& model, const std::string& version);

 private:
  std::shared_ptr<const FleetSnapshot> fleet_;
  std::map<std::pair<std::string, std::string>, rest::ModelSpec> specs_;
};

}  // namespace torchfleet::gateway
