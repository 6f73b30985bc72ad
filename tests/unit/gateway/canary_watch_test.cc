#include "gateway/forward/canary_watch.h"

#include <google/protobuf/text_format.h>
#include <grpcpp/grpcpp.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "gateway/discover/fleet.h"
#include "tests/unit/gateway/fake_backend.h"
#include "tests/unit/gateway/fleet_builder.h"
#include "torchfleet/registry/v1/catalogue.grpc.pb.h"

namespace torchfleet::gateway {
namespace {

namespace v1 = registry::v1;

// A catalogue that hears of routes and answers as it is told.
class FakeCatalogue : public v1::CatalogueService::Service {
 public:
  using Handler = std::function<grpc::Status(grpc::ServerContext&)>;

  explicit FakeCatalogue(Handler handler) : handler_(std::move(handler)) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address_ = "127.0.0.1:" + std::to_string(port);
  }
  ~FakeCatalogue() override {
    server_->Shutdown(After(absl::ZeroDuration()));
    server_->Wait();
  }

  grpc::Status SetRoute(grpc::ServerContext* context, const v1::SetRouteRequest* request,
                        v1::SetRouteResponse*) override {
    {
      const std::lock_guard lock(mu_);
      requests_.push_back(*request);
    }
    heard_.Add();
    return handler_(*context);
  }

  const std::string& address() const { return address_; }
  // The `count`th that came, from 1.
  v1::SetRouteRequest Heard(int count) {
    REQUIRE(heard_.WaitFor(count));
    const std::lock_guard lock(mu_);
    return requests_[static_cast<size_t>(count) - 1];
  }
  int heard() { return heard_.value(); }

 private:
  const Handler handler_;
  std::mutex mu_;
  std::vector<v1::SetRouteRequest> requests_;
  Counter heard_;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

class ATrial {
 public:
  explicit ATrial(FakeCatalogue& catalogue)
      : watch_(catalogue.address(), "gateway a:1", trials_, clock_) {}

  // The news of a route.
  void Say(const std::string& canary, uint64_t revision) {
    auto said = MakeSnapshot("i", {});
    v1::Route& route = *said.mutable_snapshot()->add_routes();
    REQUIRE(google::protobuf::TextFormat::ParseFromString(
        "model: 'm' rules { matches { header: 'x' exact: '' } targets {} } rules { targets { "
        "version: '1' } split_by_header: 'x-user' canary { target { version: '2' } steps: [1, 50] "
        "step_seconds: 3600 " +
            canary + " } }",
        &route));
    route.set_revision(revision);
    Fleet fleet;
    fleet.Apply(said, clock_.Now());
    trials_.Update(fleet.Snapshot());
  }
  void Fail(int calls) {
    const auto table = trials_.table().Get();
    for (int i = 0; i < calls; ++i) {
      table->trials[0].calls->of(0, true).End(absl::StatusCode::kInternal, absl::ZeroDuration());
      table->trials[0].calls->of(0, false).End(absl::StatusCode::kOk, absl::Milliseconds(1));
    }
  }
  void Start() { watch_.Start(); }
  void Stop() { watch_.Stop(); }

 private:
  MonotonicClock clock_;
  TrialTable trials_{1};
  CanaryWatch watch_;
};

// Calls that fail until the registry hears of it: those before the step was first
// judged do not count.
v1::SetRouteRequest FailUntilHeard(ATrial& trial, FakeCatalogue& catalogue) {
  const auto limit = After(absl::Seconds(20));
  while (catalogue.heard() == 0 && std::chrono::system_clock::now() < limit) trial.Fail(1);
  return catalogue.Heard(1);
}

TEST_CASE("CanaryWatch: tells the registry by a change that demands its revision",
          "[gateway][trial]") {
  FakeCatalogue catalogue([](auto&) { return grpc::Status::OK; });
  ATrial trial(catalogue);
  trial.Say("phase: PHASE_RUNNING", 7);
  trial.Start();
  const v1::SetRouteRequest told = FailUntilHeard(trial, catalogue);
  CHECK(told.revision() == 7);
  CHECK(told.actor() == "gateway a:1");
  CHECK(told.force());
  CHECK(told.route().model() == "m");
  REQUIRE(told.route().rules_size() == 2);
  CHECK(told.route().rules(1).split_by_header() == "x-user");
  const v1::RouteCanary& canary = told.route().rules(1).canary();
  CHECK(canary.phase() == v1::RouteCanary::PHASE_ROLLED_BACK);
  CHECK(canary.reason().find("calls failed") != std::string::npos);
  CHECK(canary.step_seconds() == 3600);
}

TEST_CASE("CanaryWatch: where another gateway was first, it says so again of what came of that",
          "[gateway][trial]") {
  FakeCatalogue catalogue(
      [](auto&) { return grpc::Status(grpc::StatusCode::ABORTED, "another revision"); });
  ATrial trial(catalogue);
  trial.Say("phase: PHASE_RUNNING", 7);
  trial.Start();
  CHECK(FailUntilHeard(trial, catalogue).revision() == 7);
  trial.Say("phase: PHASE_RUNNING step: 1", 8);
  // The one or two that it may have said of the old route meanwhile come first.
  int count = 2;
  while (count < 10 && catalogue.Heard(count).revision() == 7) ++count;
  const v1::SetRouteRequest again = catalogue.Heard(count);
  CHECK(again.revision() == 8);
  CHECK(again.route().rules(1).canary().step() == 1);
  CHECK(again.route().rules(1).canary().phase() == v1::RouteCanary::PHASE_ROLLED_BACK);
}

TEST_CASE("CanaryWatch: ends while the registry does not answer", "[gateway][trial]") {
  Counter cancelled;
  FakeCatalogue catalogue([&](grpc::ServerContext& context) {
    const auto limit = After(absl::Seconds(20));
    while (!context.IsCancelled() && std::chrono::system_clock::now() < limit) {
      std::this_thread::yield();
    }
    if (context.IsCancelled()) cancelled.Add();
    return grpc::Status::CANCELLED;
  });
  ATrial trial(catalogue);
  trial.Say("", 7);
  trial.Start();
  FailUntilHeard(trial, catalogue);
  trial.Stop();
  CHECK(cancelled.WaitFor(1));
}

}  // namespace
}  // namespace torchfleet::gateway
