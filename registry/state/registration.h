#pragma once
// What a worker must say of itself to be taken into the fleet.

#include "absl/status/status.h"
#include "torchfleet/registry/v1/registry.pb.h"

namespace torchfleet::registry {

// INVALID_ARGUMENT that names the field, what came and what is expected.
absl::Status CheckRegistration(const v1::Worker& worker, v1::WorkerState state);
// The same of a state alone.
absl::Status CheckState(v1::WorkerState state);

}  // namespace torchfleet::registry
