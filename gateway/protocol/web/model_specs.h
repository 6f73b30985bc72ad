#pragma once
// What REST must know of a model's tensors, from the fleet's snapshot, or from
// a worker's own metadata.
//
// Only on its loop's thread.

#include <array>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "gateway/discover/fleet_snapshot.h"
#include "gateway/protocol/rest/model_spec.h"
#include "gateway/route/traffic_policy.h"
#include "inference/grpc_service.pb.h"

namespace torchfleet::gateway {

// Tensors of datatypes that nobody knows are left out.
rest::ModelSpec SpecOf(const inference::ModelMetadataResponse& metadata);

// Specs that were asked for, until the fleet changes.
class ModelSpecs {
 public:
  // Of the model and version that answer `call`, under the name that it asks for;
  // NOT_FOUND and UNAVAILABLE as routing has it. Not before a fixed worker, whose
  // models no snapshot has. The spec stands until the next call.
  absl::StatusOr<const rest::ModelSpec*> Find(const std::shared_ptr<const FleetSnapshot>& fleet,
                                              const std::string& model, const std::string& version,
                                              const CallTraits& call);

 private:
  std::shared_ptr<const FleetSnapshot> fleet_;
  // By the name asked for, the model that stands for it, and its version.
  std::map<std::array<std::string, 3>, rest::ModelSpec> specs_;
};

}  // namespace torchfleet::gateway
