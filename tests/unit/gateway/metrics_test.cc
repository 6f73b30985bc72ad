#include "gateway/metrics/gateway_metrics.h"

#include <prometheus/text_serializer.h>

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "gateway/discover/fleet.h"
#include "tests/unit/gateway/fleet_builder.h"

namespace torchfleet::gateway {
namespace {

TEST_CASE("GatewayMetrics: shows calls by model, and unknown models as one", "[gateway][metrics]") {
  ModelCallsTable calls(Instant(), 2);
  calls.Add({"mnist"}, Instant());
  const std::atomic<bool> connected = true;
  Fleet fleet;
  fleet.Apply(MakeSnapshot("i", {MakeEndpoint("a", "mnist", "1"), MakeEndpoint("b", "mnist", "2")}),
              Instant());
  const Snapshot<FleetSnapshot> snapshot(fleet.Snapshot());
  const GatewayMetrics metrics(calls, snapshot, connected);

  auto mnist = calls.Find("mnist");
  mnist->of(0).Begin();
  mnist->of(1).Begin();
  mnist->of(0).End({.code = absl::StatusCode::kOk,
                    .duration = absl::Milliseconds(3),
                    .bytes_in = 3000,
                    .bytes_out = 100});
  CHECK(mnist->waiting().Take(1));
  mnist->of(1).Waited(absl::Milliseconds(20));
  mnist->Count(ModelCalls::Rescue::kRetry);
  mnist->Count(ModelCalls::Rescue::kEjectedSlow);
  mnist->Count(ModelCalls::Rescue::kShadowDifferent);
  auto made_up = calls.Find("made up");
  made_up->of(0).Begin();
  made_up->of(0).End({.code = absl::StatusCode::kNotFound,
                      .duration = absl::ZeroDuration(),
                      .bytes_in = 0,
                      .bytes_out = 0});
  calls.Add({"mnist", "other one"}, Instant());
  CHECK(calls.Find("mnist") == mnist);

  const std::string text = prometheus::TextSerializer().Serialize(metrics.Collect());
  for (const char* line : {
           R"(torchfleet_gateway_calls_total{model="mnist",code="OK"} 1)",
           R"(torchfleet_gateway_calls_total{model="other",code="NOT_FOUND"} 1)",
           R"(torchfleet_gateway_in_flight{model="mnist"} 1)",
           R"(torchfleet_gateway_waiting{model="mnist"} 1)",
           R"(torchfleet_gateway_wait_seconds_count{model="mnist"} 1)",
           R"(torchfleet_gateway_wait_seconds_bucket{model="mnist",le="0.01"} 0)",
           R"(torchfleet_gateway_wait_seconds_bucket{model="mnist",le="0.025"} 1)",
           R"(torchfleet_gateway_retries_total{model="mnist"} 1)",
           R"(torchfleet_gateway_hedges_total{model="mnist"} 0)",
           R"(torchfleet_gateway_ejections_total{model="mnist",reason="slow"} 1)",
           R"(torchfleet_gateway_ejections_total{model="mnist",reason="silent"} 0)",
           R"(torchfleet_gateway_returns_total{model="other"} 0)",
           R"(torchfleet_gateway_shadow_calls_total{model="mnist",result="different"} 1)",
           R"(torchfleet_gateway_shadow_calls_total{model="mnist",result="skipped"} 0)",
           R"(torchfleet_gateway_call_duration_seconds_count{model="mnist"} 1)",
           R"(torchfleet_gateway_call_duration_seconds_bucket{model="mnist",le="0.0025"} 0)",
           R"(torchfleet_gateway_call_duration_seconds_bucket{model="mnist",le="0.005"} 1)",
           R"(torchfleet_gateway_call_duration_seconds_bucket{model="mnist",le="+Inf"} 1)",
           R"(torchfleet_gateway_request_size_bytes_sum{model="mnist"} 3000)",
           R"(torchfleet_gateway_request_size_bytes_bucket{model="mnist",le="1024"} 0)",
           R"(torchfleet_gateway_request_size_bytes_bucket{model="mnist",le="4096"} 1)",
           R"(torchfleet_gateway_response_size_bytes_sum{model="mnist"} 100)",
           R"(torchfleet_gateway_fleet_endpoints{model="mnist",state="ready"} 2)",
           R"(torchfleet_gateway_registry_connected 1)",
       }) {
    CAPTURE(line, text);
    CHECK(text.find(line) != std::string::npos);
  }
  CHECK(text.find("made up") == std::string::npos);
}

}  // namespace
}  // namespace torchfleet::gateway
