#pragma once
// Registrations for tests.

#include <string>

#include "torchfleet/registry/v1/registry.pb.h"

namespace torchfleet::registry {

inline v1::Worker AWorker(const std::string& worker_id) {
  v1::Worker worker;
  worker.set_worker_id(worker_id);
  worker.set_address("127.0.0.1:4711");
  worker.set_model("mnist");
  worker.set_version("3");
  worker.set_platform("pytorch_libtorch");
  auto* input = worker.add_inputs();
  input->set_name("INPUT__0");
  input->set_datatype("FP32");
  input->add_shape(-1);
  input->add_shape(784);
  return worker;
}

inline v1::AnnounceRequest::Register ARegistration(const std::string& worker_id,
                                                   v1::WorkerState state = v1::WORKER_STATE_READY) {
  v1::AnnounceRequest::Register registration;
  *registration.mutable_worker() = AWorker(worker_id);
  registration.set_state(state);
  return registration;
}

inline v1::AnnounceRequest::Renew ARenewal(uint64_t epoch,
                                           v1::WorkerState state = v1::WORKER_STATE_READY,
                                           uint32_t queued = 0) {
  v1::AnnounceRequest::Renew renewal;
  renewal.set_epoch(epoch);
  renewal.set_state(state);
  renewal.mutable_load()->set_queued(queued);
  return renewal;
}

}  // namespace torchfleet::registry
