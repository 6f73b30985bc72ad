#include <catch2/catch_test_macros.hpp>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/grpc_status.h"
#include "base/status.h"
#include "tests/unit/gateway/dying_worker.h"
#include "tests/unit/gateway/fake_backend.h"

// What a route says of how its calls are sent, by the gateway as a whole.

namespace torchfleet::gateway {
namespace {

using Rescue = ModelCalls::Rescue;

TEST_CASE("CallPolicy: what may not be computed twice is not sent again",
          "[gateway][policy][faults]") {
  DyingWorker first, second;
  TestGateway gateway;
  gateway.SetFleet({{"a", "deadly", "1", first.address()}, {"b", "deadly", "1", second.address()}},
                   {"model: 'deadly' calls { idempotent: false }"});
  const grpc::Status status = gateway.Infer("deadly");
  CAPTURE(status.error_message());
  CHECK(status.error_code() == grpc::StatusCode::UNAVAILABLE);
  CHECK(status.error_message().find("may have been computed") != std::string::npos);
  CHECK(status.error_message().find("127.0.0.1") == std::string::npos);
  // Nobody is asked to come again.
  CHECK_FALSE(RetryDelay(FromGrpc(status)).has_value());
  CHECK(first.deaths() + second.deaths() == 1);
  CHECK(gateway.calls().Find("deadly")->count(Rescue::kRetry) == 0);
}

TEST_CASE("CallPolicy: what reached no model goes elsewhere in any case", "[gateway][policy]") {
  FakeBackend gone, lives;
  FakeBackend refuses([](auto&, const auto&, auto&) {
    return std::optional(grpc::Status(grpc::StatusCode::UNAVAILABLE, "full"));
  });
  gone.Kill();
  TestGateway gateway;
  gateway.SetFleet({{"a", "m", "1", gone.address()},
                    {"b", "m", "1", refuses.address()},
                    {"c", "m", "1", lives.address()}},
                   {"model: 'm' calls { idempotent: false }"});
  for (int i = 0; i < 20; ++i) CHECK(gateway.Infer("m").ok());
  CHECK(lives.calls().value() == 20);
}

TEST_CASE("CallPolicy: hedges only where the route has them", "[gateway][policy]") {
  for (const std::string calls : {"hedging { disabled: true }", "idempotent: false"}) {
    std::atomic<bool> hold = false;
    const auto handler = [&](auto&, const auto&, auto&) -> std::optional<grpc::Status> {
      if (hold) return std::nullopt;
      return grpc::Status::OK;
    };
    FakeBackend one(handler), two(handler);
    TestGateway gateway;
    gateway.SetFleet({{"a", "m", "1", one.address()}, {"b", "m", "1", two.address()}},
                     {"model: 'm' calls { " + calls + " }"});
    for (int i = 0; i < 400; ++i) REQUIRE(gateway.Infer("m").ok());
    hold = true;
    grpc::ClientContext context;
    context.set_deadline(After(absl::Milliseconds(300)));
    inference::ModelInferRequest request;
    request.set_model_name("m");
    inference::ModelInferResponse response;
    CHECK(gateway.stub().ModelInfer(&context, request, &response).error_code() ==
          grpc::StatusCode::DEADLINE_EXCEEDED);
    CHECK(gateway.calls().Find("m")->count(Rescue::kHedge) == 0);
    CHECK(one.calls().value() + two.calls().value() == 401);
  }
}

// Callers on connections of their own, so on whichever loops.
class Callers {
 public:
  Callers(TestGateway& gateway, size_t count) : calls_(count) {
    for (Call& call : calls_) {
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      call.stub = inference::GRPCInferenceService::NewStub(grpc::CreateCustomChannel(
          gateway.address(), grpc::InsecureChannelCredentials(), arguments));
    }
  }
  ~Callers() {
    for (Call& call : calls_) call.context.TryCancel();
  }

  void Begin(size_t i, absl::Duration deadline = absl::Seconds(30)) {
    Call& call = calls_[i];
    call.context.set_deadline(After(deadline));
    call.end = std::async(std::launch::async, [&call] {
      inference::ModelInferRequest request;
      request.set_model_name("m");
      inference::ModelInferResponse response;
      return call.stub->ModelInfer(&call.context, request, &response);
    });
  }
  void Cancel(size_t i) { calls_[i].context.TryCancel(); }
  grpc::Status End(size_t i) { return calls_[i].end.get(); }

 private:
  struct Call {
    std::unique_ptr<inference::GRPCInferenceService::Stub> stub;
    grpc::ClientContext context;
    std::future<grpc::Status> end;
  };
  std::vector<Call> calls_;
};

// Whether so many places are taken, in the end.
bool SoManyTaken(const Places& places, int64_t count) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (places.taken() != count) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::yield();
  }
  return true;
}

bool SoManyWait(TestGateway& gateway, int64_t count) {
  return SoManyTaken(gateway.calls().Find("m")->waiting(), count);
}

TEST_CASE("CallPolicy: so many calls at once, and so many wait, over all loops",
          "[gateway][policy][admit]") {
  FakeBackend worker(FakeBackend::Hold);
  TestGateway gateway;
  gateway.SetFleet({{"a", "m", "1", worker.address()}},
                   {"model: 'm' calls { admission { max_in_flight: 3 max_waiting: 4 max_wait_ms: "
                    "60000 } }"});
  Callers callers(gateway, 12);
  for (size_t i = 0; i < 3; ++i) callers.Begin(i);
  REQUIRE(worker.calls().WaitFor(3));
  for (size_t i = 3; i < 7; ++i) callers.Begin(i);
  REQUIRE(SoManyWait(gateway, 4));
  for (size_t i = 7; i < 12; ++i) {
    callers.Begin(i);
    const grpc::Status status = callers.End(i);
    CAPTURE(status.error_message());
    CHECK(status.error_code() == grpc::StatusCode::UNAVAILABLE);
    CHECK(RetryDelay(FromGrpc(status)).has_value());
  }
  CHECK(worker.calls().value() == 3);
  CHECK(gateway.calls().Find("m")->count(Rescue::kRefusal) == 5);
  // Whoever leaves makes room for one, whichever loop it waits on.
  callers.Cancel(0);
  REQUIRE(worker.calls().WaitFor(4));
  REQUIRE(SoManyWait(gateway, 3));
  for (size_t i = 1; i < 7; ++i) callers.Cancel(i);
  for (size_t i = 0; i < 7; ++i) {
    CHECK(callers.End(i).error_code() == grpc::StatusCode::CANCELLED);
  }
  REQUIRE(SoManyWait(gateway, 0));
  CHECK(SoManyTaken(gateway.calls().Find("m")->under_way(), 0));
}

TEST_CASE("CallPolicy: whose deadline passes while it waits is never computed",
          "[gateway][policy][admit][faults]") {
  FakeBackend worker(FakeBackend::Hold);
  TestGateway gateway;
  gateway.SetFleet({{"a", "m", "1", worker.address()}},
                   {"model: 'm' calls { admission { max_in_flight: 1 max_wait_ms: 60000 } }"});
  Callers callers(gateway, 2);
  callers.Begin(0);
  REQUIRE(worker.calls().WaitFor(1));
  callers.Begin(1, absl::Milliseconds(100));
  CHECK(callers.End(1).error_code() == grpc::StatusCode::DEADLINE_EXCEEDED);
  REQUIRE(SoManyWait(gateway, 0));
  callers.Cancel(0);
  CHECK(callers.End(0).error_code() == grpc::StatusCode::CANCELLED);
  CHECK(worker.calls().value() == 1);
}

TEST_CASE("CallPolicy: of those that wait the most urgent is next", "[gateway][policy][admit]") {
  std::mutex mu;
  std::vector<std::string> came;
  FakeBackend worker([&](auto&, const auto& request, auto&) -> std::optional<grpc::Status> {
    const std::lock_guard lock(mu);
    came.push_back(request.id());
    // The first one alone is held.
    if (came.size() == 1) return std::nullopt;
    return grpc::Status::OK;
  });
  TestGateway gateway;
  gateway.SetFleet({{"a", "m", "1", worker.address()}},
                   {"model: 'm' calls { admission { max_in_flight: 1 max_wait_ms: 60000 } }"});
  // All on one connection, so on one loop.
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::future<grpc::Status>> ends;
  const auto begin = [&](const std::string& id, int priority) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    contexts.back()->set_deadline(After(absl::Seconds(30)));
    ends.push_back(
        std::async(std::launch::async, [&, id, priority, context = contexts.back().get()] {
          inference::ModelInferRequest request;
          request.set_model_name("m");
          request.set_id(id);
          if (priority > 0) (*request.mutable_parameters())["priority"].set_int64_param(priority);
          inference::ModelInferResponse response;
          return gateway.stub().ModelInfer(context, request, &response);
        }));
  };
  begin("held", 0);
  REQUIRE(worker.calls().WaitFor(1));
  const std::pair<const char*, int> rows[] = {{"last", 0}, {"second", 2}, {"first", 1}};
  for (int64_t waiting = 1; const auto& [id, priority] : rows) {
    begin(id, priority);
    REQUIRE(SoManyWait(gateway, waiting++));
  }
  contexts[0]->TryCancel();
  for (auto& end : ends) end.wait();
  const std::lock_guard lock(mu);
  CHECK(came == std::vector<std::string>{"held", "first", "second", "last"});
}

// Where each of many keys goes.
struct KeyedFleet {
  KeyedFleet() {
    for (size_t i = 0; i < 3; ++i) Start(i);
    SetFleet();
  }

  // A worker by that name, at another address than before.
  void Start(size_t i) {
    workers[i] = std::make_unique<FakeBackend>([i](auto&, const auto&, auto& response) {
      response.set_model_version(std::to_string(i));
      return std::optional(grpc::Status::OK);
    });
  }
  void SetFleet() {
    std::vector<TestWorker> there;
    for (size_t i = 0; i < 3; ++i) {
      if (workers[i])
        there.push_back({"worker-" + std::to_string(i), "m", "1", workers[i]->address()});
    }
    // A hedge would show another worker.
    gateway.SetFleet(there, {"model: 'm' calls { consistent_hash { parameter: 'sequence_id' } "
                             "hedging { disabled: true } }"});
  }
  std::string WhereIs(int sequence) {
    grpc::ClientContext context;
    context.set_deadline(After(absl::Seconds(30)));
    inference::ModelInferRequest request;
    request.set_model_name("m");
    (*request.mutable_parameters())["sequence_id"].set_int64_param(sequence);
    inference::ModelInferResponse response;
    CHECK(gateway.stub().ModelInfer(&context, request, &response).ok());
    return response.model_version();
  }
  std::map<int, std::string> Places() {
    std::map<int, std::string> places;
    for (int sequence = 0; sequence < 30; ++sequence) places[sequence] = WhereIs(sequence);
    return places;
  }

  std::unique_ptr<FakeBackend> workers[3];
  TestGateway gateway;
};

TEST_CASE("CallPolicy: calls with the same key go to the same worker", "[gateway][policy][hash]") {
  KeyedFleet fleet;
  const auto before = fleet.Places();
  for (int again = 0; again < 3; ++again) CHECK(fleet.Places() == before);
  std::map<std::string, int> had;
  for (const auto& [sequence, worker] : before) ++had[worker];
  CHECK(had.size() == 3);
  // While one is away its keys alone are elsewhere; at another address it is the same.
  fleet.workers[1].reset();
  fleet.SetFleet();
  for (const auto& [sequence, worker] : fleet.Places()) {
    CAPTURE(sequence);
    CHECK(worker != "1");
    if (before.at(sequence) != "1") CHECK(worker == before.at(sequence));
  }
  fleet.Start(1);
  fleet.SetFleet();
  CHECK(fleet.Places() == before);
}

TEST_CASE("CallPolicy: a call without the key goes anywhere", "[gateway][policy][hash]") {
  KeyedFleet fleet;
  for (int i = 0; i < 60; ++i) CHECK(fleet.gateway.Infer("m").ok());
  for (const auto& worker : fleet.workers) CHECK(worker->calls().value() > 0);
}

}  // namespace
}  // namespace torchfleet::gateway
