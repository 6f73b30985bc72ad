#include "gateway/forward/shadow_call.h"

#include <catch2/catch_test_macros.hpp>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/gateway/fake_backend.h"
#include "wire/caller.h"

namespace torchfleet::gateway {
namespace {

using inference::ModelInferRequest;
using inference::ModelInferResponse;
using Rescue = ModelCalls::Rescue;

constexpr char kCopyAll[] =
    R"(model: "m" rules { targets { version: "1" } shadow { target { model: "twin" } percent: 100 } })";

FakeBackend::Handler Says(const std::string& text) {
  return [text](auto&, const auto&, ModelInferResponse& response) {
    response.add_raw_output_contents(text);
    return std::optional(grpc::Status::OK);
  };
}

void SetShadow(TestGateway& gateway, const FakeBackend& model, const FakeBackend& twin) {
  gateway.SetFleet({{"a", "m", "1", model.address()}, {"b", "twin", "3", twin.address()}},
                   {kCopyAll});
}

// Whether so many were counted in time. A copy's end is told to nobody.
bool Counted(const TestGateway& gateway, Rescue what, uint64_t target) {
  const auto calls = gateway.calls().Find("m");
  const auto limit = After(absl::Seconds(20));
  while (calls->count(what) < target && std::chrono::system_clock::now() < limit) {
    std::this_thread::yield();
  }
  return calls->count(what) == target;
}

TEST_CASE("ShadowCall: the copy is the whole request, says whose it is, and is compared",
          "[gateway][shadow]") {
  std::mutex mu;
  std::vector<std::string> ids, routes;
  FakeBackend model(Says("one"));
  FakeBackend twin([&](grpc::CallbackServerContext& context, const ModelInferRequest& request,
                       ModelInferResponse& response) {
    const std::lock_guard lock(mu);
    ids.push_back(request.id());
    const auto route = context.client_metadata().find(wire::kRouteHeader);
    if (route != context.client_metadata().end()) {
      routes.emplace_back(route->second.data(), route->second.size());
    }
    response.add_raw_output_contents(ids.size() % 2 == 0 ? "other" : "one");
    return std::optional(grpc::Status::OK);
  });
  TestGateway gateway;
  SetShadow(gateway, model, twin);
  for (uint64_t i = 1; i <= 10; ++i) {
    ModelInferResponse response;
    REQUIRE(gateway.Infer("m", response).ok());
    CHECK(response.raw_output_contents(0) == "one");
    REQUIRE(
        Counted(gateway, i % 2 == 0 ? Rescue::kShadowDifferent : Rescue::kShadowSame, (i + 1) / 2));
  }
  CHECK(ids == std::vector<std::string>(10, "the caller's"));
  CHECK(routes == std::vector<std::string>(10, "twin/3"));
  CHECK(model.calls().value() == 10);
}

TEST_CASE("ShadowCall: a shadow that fails, dies or is not there fails no call",
          "[gateway][shadow][faults]") {
  FakeBackend model(Says("one"));
  FakeBackend twin([](auto&, const auto&, auto&) {
    return std::optional(grpc::Status(grpc::StatusCode::INTERNAL, "broken"));
  });
  TestGateway gateway;
  SetShadow(gateway, model, twin);
  REQUIRE(gateway.Infer("m").ok());
  REQUIRE(Counted(gateway, Rescue::kShadowFailed, 1));
  gateway.SetFleet({{"a", "m", "1", model.address()}}, {kCopyAll});
  REQUIRE(gateway.Infer("m").ok());
  REQUIRE(Counted(gateway, Rescue::kShadowSkipped, 1));
  SetShadow(gateway, model, twin);
  twin.Kill();
  for (int i = 0; i < 10; ++i) REQUIRE(gateway.Infer("m").ok());
  CHECK(gateway.calls().Find("m")->count(Rescue::kRetry) == 0);
}

TEST_CASE(
    "ShadowCall: of a shadow that does not answer there are few copies, as long as their calls",
    "[gateway][shadow]") {
  FakeBackend model(Says("one")), twin(FakeBackend::Hold);
  TestGateway gateway;
  SetShadow(gateway, model, twin);
  const auto call = [&](absl::Duration timeout) {
    grpc::ClientContext context;
    context.set_deadline(After(timeout));
    ModelInferRequest request;
    request.set_model_name("m");
    ModelInferResponse response;
    return gateway.stub().ModelInfer(&context, request, &response);
  };
  // All on one connection, and so on one loop.
  for (size_t i = 0; i < ShadowCalls::kMostAtOnce + 5; ++i) REQUIRE(call(absl::Seconds(30)).ok());
  REQUIRE(Counted(gateway, Rescue::kShadowSkipped, 5));
  REQUIRE(twin.calls().WaitFor(static_cast<int>(ShadowCalls::kMostAtOnce)));
  twin.Kill();
  REQUIRE(Counted(gateway, Rescue::kShadowFailed, ShadowCalls::kMostAtOnce));

  FakeBackend later(FakeBackend::Hold);
  SetShadow(gateway, model, later);
  REQUIRE(call(absl::Seconds(2)).ok());
  REQUIRE(Counted(gateway, Rescue::kShadowFailed, ShadowCalls::kMostAtOnce + 1));
  REQUIRE(later.cancelled().WaitFor(1));
}

TEST_CASE("ShadowCall: nothing is copied of a call that fails or is large", "[gateway][shadow]") {
  FakeBackend model([](auto&, const ModelInferRequest& request, auto&) {
    return std::optional(request.id().empty() ? grpc::Status::OK
                                              : grpc::Status(grpc::StatusCode::INTERNAL, "broken"));
  });
  FakeBackend twin(Says("one"));
  TestGateway gateway;
  SetShadow(gateway, model, twin);
  CHECK(gateway.Infer("m").error_code() == grpc::StatusCode::INTERNAL);
  grpc::ClientContext context;
  context.set_deadline(After(absl::Seconds(30)));
  ModelInferRequest request;
  request.set_model_name("m");
  request.add_raw_input_contents(std::string(2 << 20, 'x'));
  ModelInferResponse response;
  CHECK(gateway.stub().ModelInfer(&context, request, &response).ok());
  REQUIRE(Counted(gateway, Rescue::kShadowSkipped, 1));
  CHECK(twin.calls().value() == 0);
}

TEST_CASE("ShadowCall: an answer that is too long is not compared", "[gateway][shadow]") {
  const std::string large(ShadowCalls::kMostKept + 1, 'x');
  FakeBackend model(Says(large)), twin(Says(large));
  TestGateway gateway;
  SetShadow(gateway, model, twin);
  ModelInferResponse response;
  grpc::ClientContext context;
  context.set_deadline(After(absl::Seconds(30)));
  ModelInferRequest request;
  request.set_model_name("m");
  REQUIRE(gateway.stub().ModelInfer(&context, request, &response).ok());
  CHECK(response.raw_output_contents(0) == large);
  REQUIRE(Counted(gateway, Rescue::kShadowSkipped, 1));
}

}  // namespace
}  // namespace torchfleet::gateway
