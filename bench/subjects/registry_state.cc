// What a worker's registration takes in memory, without its connection:
// torchfleet-bench-registry-state COUNT prints the bytes a worker of the store in
// memory, and of the fleet's state besides.

#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/log.h"
#include "registry/state/keys.h"
#include "registry/store/memory_store.h"
#include "registry/watch/fleet.h"

namespace torchfleet::registry {
namespace {

class Nobody : public FleetListener {
  void OnChange(bool) override {}
  void OnDrainWishes(const std::vector<std::string>&) override {}
  void OnAvailable(bool) override {}
};

Value Bytes(const google::protobuf::MessageLite& message) {
  return std::make_shared<const std::string>(message.SerializeAsString());
}

void Register(Store& store, int number) {
  const std::string id = "worker-" + std::to_string(number) + "/1.0";
  v1::Worker worker;
  worker.set_worker_id(id);
  worker.set_address("10.0.0.1:9000");
  worker.set_model("model-" + std::to_string(number / 100));
  worker.set_version("1");
  worker.set_platform("pytorch_libtorch");
  worker.set_operator_address("10.0.0.1:9100");
  for (auto* tensor : {worker.add_inputs(), worker.add_outputs()}) {
    tensor->set_name("INPUT__0");
    tensor->set_datatype("FP32");
    tensor->add_shape(-1);
    tensor->add_shape(784);
  }
  v1::WatchResponse::Condition condition;
  condition.set_worker_id(id);
  condition.set_state(v1::WORKER_STATE_READY);
  v1::Load load;
  load.set_queued(7);
  load.set_capacity(1);
  store.Grant(absl::Hours(1), [&](absl::StatusOr<LeaseId> lease) {
    store.Commit({.space = Space::kLive,
                  .writes = {{Key(kWorkers, id), Bytes(worker), *lease},
                             {Key(kConditions, id), Bytes(condition), *lease},
                             {Key(kLoads, id), Bytes(load), *lease}}},
                 [](const absl::StatusOr<uint64_t>&) {});
  });
}

double InUse() { return static_cast<double>(mallinfo2().uordblks); }

}  // namespace
}  // namespace torchfleet::registry

int main(int argc, char** argv) {
  using namespace torchfleet;
  using namespace torchfleet::registry;
  if (argc != 2 || !InitLog("state", "text", "error").ok()) return 2;
  // One arena: mallinfo2 tells of no other.
  mallopt(M_ARENA_MAX, 1);
  const int count = std::atoi(argv[1]);
  const MonotonicClock clock;
  MemoryStore store(clock);
  const double before = InUse();
  for (int i = 0; i < count; ++i) Register(store, i);
  const double stored = InUse();
  Nobody nobody;
  Fleet fleet({}, clock);
  fleet.SetListener(nobody);
  store.Follow(fleet);
  store.Latest([](const absl::StatusOr<uint64_t>&) {});
  while (fleet.Read([](const FleetState& state) {
    return state.CountInState(v1::WORKER_STATE_READY);
  }) < static_cast<size_t>(count)) {
  }
  std::printf("%.0f %.0f\n", (stored - before) / count, (InUse() - stored) / count);
  store.Unfollow(fleet);
  return 0;
}
