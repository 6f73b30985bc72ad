#pragma once
// What a worker says of itself to the registry. Pure.

#include <string>

#include "model-worker/execute/model_spec.h"
#include "torchfleet/registry/v1/registry.pb.h"

namespace torchfleet::worker {

struct WorkerIdentity {
  std::string worker_id;
  // Where clients reach it.
  std::string address;
  std::string operator_address;
  std::string zone = {};
};

registry::v1::Worker Announcement(const ModelSpec& spec, const WorkerIdentity& identity);

}  // namespace torchfleet::worker
