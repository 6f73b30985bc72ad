#include "cli/client/fleet_mirror.h"

#include <catch2/catch_test_macros.hpp>

namespace torchfleet::cli {
namespace {

namespace v1 = registry::v1;

v1::Endpoint AWorker(const std::string& id, v1::WorkerState state) {
  v1::Endpoint endpoint;
  endpoint.mutable_worker()->set_worker_id(id);
  endpoint.mutable_worker()->set_model("m");
  endpoint.set_state(state);
  return endpoint;
}

TEST_CASE("FleetMirror: a snapshot replaces, a delta changes", "[cli]") {
  FleetMirror mirror;
  v1::WatchResponse first;
  *first.mutable_snapshot()->add_endpoints() = AWorker("a", v1::WORKER_STATE_READY);
  *first.mutable_snapshot()->add_endpoints() = AWorker("b", v1::WORKER_STATE_READY);
  first.mutable_snapshot()->add_models()->set_name("m");
  mirror.Apply(first);
  CHECK(mirror.workers().size() == 2);

  v1::WatchResponse second;
  second.mutable_delta()->add_removed("b");
  *second.mutable_delta()->add_updated() = AWorker("c", v1::WORKER_STATE_STARTING);
  second.mutable_delta()->add_removed_models("m");
  second.mutable_delta()->add_models()->set_name("n");
  auto& condition = *second.mutable_delta()->add_conditions();
  condition.set_worker_id("a");
  condition.set_state(v1::WORKER_STATE_DRAINING);
  condition.set_drain_phase(v1::DRAIN_PHASE_FINISHING);
  condition.set_disconnected(true);
  condition.set_reason("why");
  condition.mutable_load()->set_queued(3);
  second.mutable_delta()->add_conditions()->set_worker_id("nobody's");
  mirror.Apply(second);
  const auto said = mirror.Snapshot();
  REQUIRE(said.snapshot().endpoints_size() == 2);
  const v1::Endpoint& a = said.snapshot().endpoints(0);
  CHECK(a.worker().model() == "m");
  CHECK(a.state() == v1::WORKER_STATE_DRAINING);
  CHECK(a.drain_phase() == v1::DRAIN_PHASE_FINISHING);
  CHECK(a.disconnected());
  CHECK(a.reason() == "why");
  CHECK(a.load().queued() == 3);
  CHECK(said.snapshot().endpoints(1).worker().worker_id() == "c");
  REQUIRE(said.snapshot().models_size() == 1);
  CHECK(said.snapshot().models(0).name() == "n");

  mirror.Apply(first);
  CHECK(mirror.workers().size() == 2);
  CHECK(mirror.workers().at("a").state() == v1::WORKER_STATE_READY);
  CHECK(mirror.models().contains("m"));
}

TEST_CASE("FleetMirror: what went and came back in one delta is there", "[cli]") {
  FleetMirror mirror;
  v1::WatchResponse delta;
  delta.mutable_delta()->add_removed("a");
  delta.mutable_delta()->add_removed_models("m");
  *delta.mutable_delta()->add_updated() = AWorker("a", v1::WORKER_STATE_READY);
  delta.mutable_delta()->add_models()->set_name("m");
  mirror.Apply(delta);
  CHECK(mirror.workers().contains("a"));
  CHECK(mirror.models().contains("m"));
}

}  // namespace
}  // namespace torchfleet::cli
