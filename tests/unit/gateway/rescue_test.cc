#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "base/grpc_status.h"
#include "base/status.h"
#include "tests/unit/gateway/dying_worker.h"
#include "tests/unit/gateway/fake_backend.h"

namespace torchfleet::gateway {
namespace {

using Rescue = ModelCalls::Rescue;

// Workers of model m that hold calls while `hold` is up, once each.
struct HoldingFleet {
  explicit HoldingFleet(size_t count) {
    std::vector<TestWorker> workers;
    for (size_t i = 0; i < count; ++i) {
      backends.push_back(std::make_unique<FakeBackend>(
          [this, i](auto&, const auto&, auto&) -> std::optional<grpc::Status> {
            int left = holds;
            while (left > 0 && !holds.compare_exchange_weak(left, left - 1)) {
            }
            if (left <= 0) return grpc::Status::OK;
            holder = i;
            held.Add();
            return std::nullopt;
          }));
      workers.push_back({std::to_string(i), "m", "1", backends[i]->address()});
    }
    gateway.SetFleet(workers);
  }

  // Who holds the call that was held last.
  FakeBackend& Holder() { return *backends[holder]; }

  std::atomic<int> holds = 0;
  std::atomic<size_t> holder = 0;
  Counter held;
  std::vector<std::unique_ptr<FakeBackend>> backends;
  TestGateway gateway;
};

TEST_CASE("Rescue: a call that takes longer than usual is answered by another worker",
          "[gateway][rescue]") {
  HoldingFleet fleet(2);
  for (int i = 0; i < 400; ++i) REQUIRE(fleet.gateway.Infer("m").ok());
  const auto calls = fleet.gateway.calls().Find("m");
  const uint64_t before = calls->count(Rescue::kHedge);
  fleet.holds = 1;
  inference::ModelInferResponse response;
  REQUIRE(fleet.gateway.Infer("m", response).ok());
  CHECK(response.id() == "the caller's");
  CHECK(calls->count(Rescue::kHedge) > before);
  CHECK(calls->count(Rescue::kHedgeWon) > 0);
  // Who was too late is told.
  CHECK(fleet.Holder().cancelled().WaitFor(1));
}

TEST_CASE("Rescue: a request that killed two workers is not sent to a third",
          "[gateway][rescue][faults]") {
  DyingWorker first, second, third;
  TestGateway gateway;
  gateway.SetFleet({{"a", "deadly", "1", first.address()},
                    {"b", "deadly", "1", second.address()},
                    {"c", "deadly", "1", third.address()}});
  const grpc::Status status = gateway.Infer("deadly");
  CAPTURE(status.error_message());
  CHECK(status.error_code() == grpc::StatusCode::INTERNAL);
  CHECK(status.error_message().find("127.0.0.1") == std::string::npos);
  CHECK_FALSE(gateway.quarantine().empty());
  CHECK(first.deaths() + second.deaths() + third.deaths() == 2);
  // Nor when it comes again.
  CHECK(gateway.Infer("deadly").error_code() == grpc::StatusCode::INTERNAL);
  CHECK(first.deaths() + second.deaths() + third.deaths() == 2);
  CHECK(gateway.calls().Find("deadly")->count(Rescue::kQuarantined) == 2);
}

TEST_CASE("Rescue: an answer clears a request that a worker died of", "[gateway][rescue][faults]") {
  DyingWorker dies;
  FakeBackend lives;
  TestGateway gateway;
  gateway.SetFleet({{"a", "deadly", "1", dies.address()}, {"b", "deadly", "1", lives.address()}});
  for (int i = 0; i < 20; ++i) CHECK(gateway.Infer("deadly").ok());
  CHECK(dies.deaths() > 0);
  CHECK(gateway.quarantine().empty());
}

TEST_CASE("Rescue: when no worker has room a call is refused with pushback", "[gateway][rescue]") {
  HoldingFleet fleet(1);
  fleet.gateway.backends().Get()->begin()->second->health().SetLimit(1);
  fleet.holds = 1;
  grpc::ClientContext holding;
  holding.set_deadline(After(absl::Seconds(30)));
  auto call = std::async(std::launch::async, [&] {
    inference::ModelInferRequest request;
    request.set_model_name("m");
    inference::ModelInferResponse response;
    return fleet.gateway.stub().ModelInfer(&holding, request, &response);
  });
  REQUIRE(fleet.held.WaitFor(1));
  grpc::ClientContext context;
  context.set_deadline(After(absl::Seconds(30)));
  inference::ModelInferRequest request;
  request.set_model_name("m");
  inference::ModelInferResponse response;
  const grpc::Status status = fleet.gateway.stub().ModelInfer(&context, request, &response);
  CHECK(status.error_code() == grpc::StatusCode::UNAVAILABLE);
  CHECK(RetryDelay(FromGrpc(status)).has_value());
  CHECK(context.GetServerTrailingMetadata().count("grpc-retry-pushback-ms") == 1);
  const auto calls = fleet.gateway.calls().Find("m");
  CHECK(calls->count(Rescue::kRefusal) == 1);
  CHECK(calls->waiting().taken() == 0);
  uint64_t waited = 0;
  for (const auto& counts : calls->all()) {
    waited += counts.waits().sum();
  }
  CHECK(waited > 0);
  CHECK(fleet.backends[0]->calls().value() == 1);
  holding.TryCancel();
  CHECK(call.get().error_code() == grpc::StatusCode::CANCELLED);
  // There is room again.
  CHECK(fleet.gateway.Infer("m").ok());
}

TEST_CASE("Rescue: a worker that wants no retry gets none, and none other does",
          "[gateway][rescue]") {
  const auto refuse = [](grpc::CallbackServerContext& context, const auto&, auto&) {
    context.AddTrailingMetadata("grpc-retry-pushback-ms", "-1");
    return std::optional(grpc::Status(grpc::StatusCode::UNAVAILABLE, "leave it"));
  };
  FakeBackend first(refuse), second(refuse);
  TestGateway gateway;
  gateway.SetFleet({{"a", "m", "1", first.address()}, {"b", "m", "1", second.address()}});
  CHECK(gateway.Infer("m").error_code() == grpc::StatusCode::UNAVAILABLE);
  CHECK(first.calls().value() + second.calls().value() == 1);
}

}  // namespace
}  // namespace torchfleet::gateway
