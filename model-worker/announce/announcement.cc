#include "model-worker/announce/announcement.h"

#include <unistd.h>

namespace torchfleet::worker {
namespace {

template <typename Tensors>
void Describe(const std::vector<TensorSpec>& specs, Tensors* tensors) {
  for (const TensorSpec& spec : specs) {
    auto* tensor = tensors->Add();
    tensor->set_name(spec.name);
    tensor->set_datatype(std::string(wire::DataTypeName(spec.type)));
    tensor->mutable_shape()->Add(spec.shape.begin(), spec.shape.end());
  }
}

}  // namespace

registry::v1::Worker Announcement(const ModelSpec& spec, const WorkerIdentity& identity) {
  registry::v1::Worker worker;
  worker.set_worker_id(identity.worker_id);
  worker.set_address(identity.address);
  worker.set_operator_address(identity.operator_address);
  worker.set_zone(identity.zone);
  worker.set_model(spec.name);
  worker.set_version(spec.version);
  worker.set_platform(spec.platform);
  worker.set_pid(getpid());
  Describe(spec.inputs, worker.mutable_inputs());
  Describe(spec.outputs, worker.mutable_outputs());
  return worker;
}

}  // namespace torchfleet::worker
