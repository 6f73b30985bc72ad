#include "gateway/forward/trial_calls.h"

#include <prometheus/text_serializer.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <string>
#include <thread>

#include "gateway/metrics/canary_metrics.h"
#include "tests/unit/gateway/fake_backend.h"

namespace torchfleet::gateway {
namespace {

using inference::ModelInferRequest;
using inference::ModelInferResponse;

std::string OnTrial(const std::string& version, const std::string& canary) {
  return "model: 'm' rules { targets { version: '1' } canary { target { version: '" + version +
         "' } steps: [1, 100] " + canary + " } }";
}

FakeBackend::Handler Answers(grpc::Status status = grpc::Status::OK) {
  return [status](auto&, const auto&, ModelInferResponse&) { return std::optional(status); };
}

TrialFigures Seen(const TestGateway& gateway) {
  const auto table = gateway.trials().table().Get();
  REQUIRE(table->trials.size() == 1);
  return table->trials[0].calls->Sum();
}

// A call is counted before its caller reads the end, but for that of a stream.
TEST_CASE("TrialCalls: calls are counted for the side that their rule sent them to",
          "[gateway][trial]") {
  FakeBackend first(Answers()), second(Answers(grpc::Status(grpc::StatusCode::INTERNAL, "no")));
  TestGateway gateway;
  const std::vector<TestWorker> workers = {{"a", "m", "1", first.address()},
                                           {"b", "m", "2", second.address()}};
  gateway.SetFleet(workers, {OnTrial("2", "phase: PHASE_ROLLED_BACK")});
  for (int i = 0; i < 5; ++i) REQUIRE(gateway.Infer("m").ok());
  CHECK(Seen(gateway).targets.calls == 5);
  CHECK(Seen(gateway).targets.latencies.total() == 5);
  CHECK(Seen(gateway).canary.calls == 0);

  // Another step of the same versions: the counters go on.
  gateway.SetFleet(workers, {OnTrial("2", "step: 1")});
  for (int i = 0; i < 3; ++i) CHECK_FALSE(gateway.Infer("m").ok());
  CHECK(Seen(gateway).targets.calls == 5);
  CHECK(Seen(gateway).canary.calls == 3);
  CHECK(Seen(gateway).canary.failed == 3);
  CHECK(Seen(gateway).canary.latencies.total() == 0);

  const std::string text =
      prometheus::TextSerializer().Serialize(CanaryMetrics(gateway.trials()).Collect());
  CAPTURE(text);
  for (
      const char* line :
      {R"(torchfleet_gateway_canary_share_percent{model="m",rule="0"} 100)",
       R"(torchfleet_gateway_canary_calls_total{model="m",rule="0",side="canary",result="ok"} 0)",
       R"(torchfleet_gateway_canary_calls_total{model="m",rule="0",side="canary",result="failed"} 3)",
       R"(torchfleet_gateway_canary_calls_total{model="m",rule="0",side="targets",result="ok"} 5)"}) {
    CHECK(text.find(line) != std::string::npos);
  }

  // Other versions: others are counted.
  gateway.SetFleet(workers, {OnTrial("3", "step: 1")});
  CHECK(Seen(gateway).canary.calls == 0);
  CHECK(Seen(gateway).targets.calls == 0);
}

TEST_CASE("TrialCalls: who names a version is not counted", "[gateway][trial]") {
  FakeBackend first(Answers()), second(Answers());
  TestGateway gateway;
  gateway.SetFleet({{"a", "m", "1", first.address()}, {"b", "m", "2", second.address()}},
                   {OnTrial("2", "step: 1")});
  grpc::ClientContext context;
  context.set_deadline(After(absl::Seconds(30)));
  ModelInferRequest request;
  request.set_model_name("m");
  request.set_model_version("2");
  ModelInferResponse response;
  REQUIRE(gateway.stub().ModelInfer(&context, request, &response).ok());
  CHECK(Seen(gateway).canary.calls == 0);
}

TEST_CASE("TrialCalls: a call that ran into its deadline has failed, a cancelled one has not",
          "[gateway][trial]") {
  FakeBackend silent(FakeBackend::Hold);
  TestGateway gateway;
  gateway.SetFleet({{"b", "m", "2", silent.address()}}, {OnTrial("2", "step: 1")});
  const auto call = [&](absl::Duration deadline, bool cancel) {
    grpc::ClientContext context;
    context.set_deadline(After(deadline));
    ModelInferRequest request;
    request.set_model_name("m");
    ModelInferResponse response;
    const int before = silent.calls().value();
    std::thread canceller([&] {
      if (!cancel) return;
      CHECK(silent.calls().WaitFor(before + 1));
      context.TryCancel();
    });
    CHECK_FALSE(gateway.stub().ModelInfer(&context, request, &response).ok());
    canceller.join();
  };
  call(absl::Seconds(30), /*cancel=*/true);
  call(absl::Milliseconds(100), /*cancel=*/false);
  // The client may know of its deadline before the gateway does.
  const auto limit = After(absl::Seconds(20));
  while (Seen(gateway).canary.calls == 0 && std::chrono::system_clock::now() < limit) {
    std::this_thread::yield();
  }
  CHECK(Seen(gateway).canary.calls == 1);
  CHECK(Seen(gateway).canary.failed == 1);
}

}  // namespace
}  // namespace torchfleet::gateway
