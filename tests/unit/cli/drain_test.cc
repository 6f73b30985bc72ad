#include "cli/drain/drain_command.h"

#include <grpcpp/grpcpp.h>

#include <catch2/catch_test_macros.hpp>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "cli/drain/drain_target.h"
#include "cli/exit_codes.h"
#include "torchfleet/registry/v1/registry.grpc.pb.h"

namespace torchfleet::cli {
namespace {

namespace v1 = torchfleet::registry::v1;
using Lines = std::vector<std::string>;

v1::Endpoint Worker(const std::string& id, const std::string& model, uint64_t epoch = 1) {
  v1::Endpoint endpoint;
  endpoint.mutable_worker()->set_worker_id(id);
  endpoint.mutable_worker()->set_model(model);
  endpoint.set_epoch(epoch);
  endpoint.set_state(v1::WORKER_STATE_READY);
  return endpoint;
}

v1::WatchResponse SomeFleet() {
  v1::WatchResponse fleet;
  fleet.set_incarnation("i");
  for (const auto& worker :
       {Worker("echo", "mnist"), Worker("m-1", "mnist"), Worker("e", "echo")}) {
    *fleet.mutable_snapshot()->add_endpoints() = worker;
  }
  return fleet;
}

v1::WatchResponse Phase(const std::string& id, v1::DrainPhase phase) {
  v1::WatchResponse response;
  auto* condition = response.mutable_delta()->add_conditions();
  condition->set_worker_id(id);
  condition->set_state(v1::WORKER_STATE_DRAINING);
  condition->set_drain_phase(phase);
  return response;
}

v1::WatchResponse Removed(const std::string& id) {
  v1::WatchResponse response;
  response.mutable_delta()->add_removed(id);
  return response;
}

TEST_CASE("DrainTarget: a worker by its name, else a model's workers", "[cli][drain]") {
  CHECK(DrainTarget(SomeFleet(), "m-1")->worker_id() == "m-1");
  CHECK(DrainTarget(SomeFleet(), "mnist")->model() == "mnist");
  // A worker that is called like another model.
  const auto both = DrainTarget(SomeFleet(), "echo");
  CHECK(both->worker_id() == "echo");
  CHECK(both->model().empty());
  const absl::Status none = DrainTarget(SomeFleet(), "nobody").status();
  CHECK(absl::IsNotFound(none));
  CHECK(std::string(none.message()).find("'nobody'") != std::string::npos);
}

TEST_CASE("DrainProgress: tells each phase once, until all are gone", "[cli][drain]") {
  DrainProgress progress({"m-1", "echo"}, SomeFleet());
  CHECK(progress.Apply(SomeFleet()).empty());
  CHECK(progress.Apply(Phase("m-1", v1::DRAIN_PHASE_ANNOUNCED)) == Lines{"m-1 drains: announced"});
  CHECK(progress.Apply(Phase("m-1", v1::DRAIN_PHASE_ANNOUNCED)).empty());
  CHECK(progress.Apply(Phase("m-1", v1::DRAIN_PHASE_FINISHING)) == Lines{"m-1 drains: finishing"});
  CHECK(progress.Apply(Removed("e")).empty());
  CHECK(progress.Apply(Removed("m-1")) == Lines{"m-1 is gone"});
  CHECK(progress.left() == Lines{"echo"});
  // Another process has taken its name.
  v1::WatchResponse replaced;
  *replaced.mutable_delta()->add_updated() = Worker("echo", "mnist", 2);
  CHECK(progress.Apply(replaced) == Lines{"echo is gone"});
  CHECK(progress.done());
}

TEST_CASE("DrainProgress: a snapshot without a worker says that it is gone", "[cli][drain]") {
  DrainProgress progress({"m-1", "e"}, SomeFleet());
  v1::WatchResponse later;
  *later.mutable_snapshot()->add_endpoints() = Worker("e", "echo");
  CHECK(progress.Apply(later) == Lines{"m-1 is gone"});
  CHECK(progress.left() == Lines{"e"});
}

// Drains whom it is told to, at once.
class DrainingRegistry : public v1::RegistryService::Service {
 public:
  DrainingRegistry() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address = "127.0.0.1:" + std::to_string(port);
  }
  ~DrainingRegistry() override { server_->Shutdown(std::chrono::system_clock::now()); }

  grpc::Status Watch(grpc::ServerContext* context, const v1::WatchRequest*,
                     grpc::ServerWriter<v1::WatchResponse>* writer) override {
    writer->Write(SomeFleet());
    std::unique_lock lock(mu_);
    while (!context->IsCancelled()) {
      if (!told_.empty() && heeds) {
        for (const std::string& id : told_) {
          writer->Write(Phase(id, v1::DRAIN_PHASE_ANNOUNCED));
          writer->Write(Removed(id));
        }
        told_.clear();
      }
      changed_.wait_for(lock, std::chrono::milliseconds(5));
    }
    return grpc::Status::OK;
  }

  grpc::Status Drain(grpc::ServerContext*, const v1::DrainRequest* request,
                     v1::DrainResponse* response) override {
    const std::lock_guard lock(mu_);
    asked = *request;
    if (!request->worker_id().empty()) told_ = {request->worker_id()};
    if (request->model() == "mnist") told_ = {"echo", "m-1"};
    for (const std::string& id : told_) response->add_worker_ids(id);
    return grpc::Status::OK;
  }

  std::string address;
  v1::DrainRequest asked;
  bool heeds = true;

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  std::vector<std::string> told_;
  std::unique_ptr<grpc::Server> server_;
};

TEST_CASE("Drain: asks a registry that answers, says who asks, and waits until all are gone",
          "[cli][drain]") {
  DrainingRegistry registry;
  DrainOptions options{.name = "mnist",
                       .registry = "127.0.0.1:1," + registry.address,
                       .wait = true,
                       .timeout = absl::Seconds(30)};
  CHECK(RunDrain(options) == kOk);
  CHECK(registry.asked.model() == "mnist");
  CHECK(registry.asked.actor().find('@') != std::string::npos);
  options.name = "m-1";
  options.wait = false;
  CHECK(RunDrain(options) == kOk);
  CHECK(registry.asked.worker_id() == "m-1");
}

TEST_CASE("Drain: fails for a name nobody has, workers that stay, and no registry",
          "[cli][drain]") {
  DrainingRegistry registry;
  registry.heeds = false;
  DrainOptions options{.name = "nobody", .registry = registry.address};
  CHECK(RunDrain(options) == kFailed);
  options.name = "m-1";
  options.wait = true;
  options.timeout = absl::Milliseconds(500);
  CHECK(RunDrain(options) == kFailed);
  options.registry = "127.0.0.1:1";
  CHECK(RunDrain(options) == kUnreachable);
}

}  // namespace
}  // namespace torchfleet::cli
