#include "gateway/metrics/worker_metrics.h"

#include <prometheus/text_serializer.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "gateway/discover/fleet.h"
#include "gateway/metrics/workers_page.h"
#include "tests/unit/gateway/fleet_builder.h"

namespace torchfleet::gateway {
namespace {

Instant At(double seconds) { return Instant::FromStart(absl::Seconds(seconds)); }

class FixedClock final : public Clock {
 public:
  Instant Now() const override { return At(100); }
};

// Numbers, so that nothing is to be looked up.
std::string AddressOf(int i) { return "127.0.0.1:" + std::to_string(1 + i); }

registry::v1::Endpoint Endpoint(const std::string& id, const std::string& version,
                                const std::string& address) {
  registry::v1::Endpoint endpoint = MakeEndpoint(id, "mnist", version);
  endpoint.mutable_worker()->set_address(address);
  return endpoint;
}

// Workers a and b of mnist, and one that drains.
class SomeWorkers {
 public:
  SomeWorkers() {
    Fleet fleet;
    auto draining = Endpoint("c", "2", AddressOf(2));
    draining.set_state(registry::v1::WORKER_STATE_DRAINING);
    fleet.Apply(MakeSnapshot("i", {Endpoint("a", "1", AddressOf(0)),
                                   Endpoint("b", "1", AddressOf(1)), draining}),
                At(0));
    fleet_.Set(fleet.Snapshot());
    std::map<std::string, std::optional<uint64_t>> changes;
    for (int i = 0; i < 3; ++i) changes[AddressOf(i)] = 1;
    backends_.Update(changes, At(0));
    for (const char* name : {"a", "b", "c"}) health(name).Reported(At(100), 0, 4);
  }

  EndpointHealth& health(const std::string& name) {
    return backends_.Get()->find(AddressOf(name[0] - 'a'))->second->health();
  }
  std::string Metrics() const {
    return prometheus::TextSerializer().Serialize(
        WorkerMetrics(fleet_, backends_, clock_).Collect());
  }
  nlohmann::json Page(const ModelCallsTable& calls) const {
    return nlohmann::json::parse(
        WorkersPage(*fleet_.Get(), *backends_.Get(), *calls.All(), clock_.Now()));
  }

 private:
  const FixedClock clock_;
  Snapshot<FleetSnapshot> fleet_;
  BackendTable backends_{2};
};

TEST_CASE("WorkerMetrics: each worker by name, what is zero left out, capacity of those ready",
          "[gateway][metrics]") {
  SomeWorkers workers;
  EndpointHealth& health = workers.health("a");
  health.Begin(0);
  health.Begin(1, AttemptKind::kRetry);
  health.Begin(1, AttemptKind::kHedge);
  health.Answered(0, At(100), absl::Milliseconds(3));
  health.Erred(1);
  health.RememberLatency();
  health.SetLimit(9);
  health.SetEjected(OutlierVerdict::kSlow, At(101));
  const std::string text = workers.Metrics();
  const std::string a = R"({model="mnist",version="1",worker="a")";
  const std::string b = R"({model="mnist",version="1",worker="b")";
  const std::string name = "torchfleet_gateway_worker_";
  for (const std::string& line : {
           name + "calls_total" + a + R"(,outcome="answered"} 1)",
           name + "calls_total" + a + R"(,outcome="failed"} 1)",
           name + "latency_seconds_count" + a + "} 1",
           name + "latency_seconds_sum" + a + "} 0.003",
           name + "latency_seconds" + a + R"(,quantile="0.99"} 0.00)",
           name + "retries_total" + a + "} 1",
           name + "hedges_total" + a + "} 1",
           name + "ejections_total" + a + "} 1",
           name + "ejected" + a + "} 1",
           name + "ejected" + b + "} 0",
           name + "in_flight" + a + "} 3",
           name + "limit" + a + "} 9",
           std::string(R"(torchfleet_gateway_capacity{model="mnist"} 8)"),
       }) {
    CAPTURE(line, text);
    CHECK(text.find(line) != std::string::npos);
  }
  CHECK(text.find("calls_total" + b) == std::string::npos);
  CHECK(text.find("latency_seconds" + b) == std::string::npos);
  CHECK(text.find("refused") == std::string::npos);
}

TEST_CASE("WorkersPage: workers with how they stand, models with their demand",
          "[gateway][metrics]") {
  SomeWorkers workers;
  ModelCallsTable calls(At(0), 2);
  calls.Add({"mnist"}, At(0));
  const auto mnist = calls.Find("mnist");
  mnist->of(0).Begin();
  CHECK(mnist->waiting().Take(1));
  mnist->of(1).Begin();
  mnist->of(1).Waited(absl::Milliseconds(20));
  mnist->of(1).End({.code = absl::StatusCode::kUnavailable, .duration = absl::Milliseconds(20)});
  mnist->Count(ModelCalls::Rescue::kRefusal);
  EndpointHealth& health = workers.health("b");
  for (int i = 0; i < 100; ++i) health.Answered(0, At(100), absl::Milliseconds(i < 90 ? 2 : 200));
  health.RememberLatency();
  health.SetEjected(OutlierVerdict::kFailing, At(101.5));

  const nlohmann::json page = workers.Page(calls);
  REQUIRE(page["workers"].size() == 3);
  const nlohmann::json& a = page["workers"][0];
  CHECK(a["worker"] == "a");
  CHECK(a["standing"] == "serving");
  CHECK_FALSE(a.contains("reason"));
  CHECK(a["latency"] == nlohmann::json::parse(R"({"half_octaves":[]})"));
  const nlohmann::json& b = page["workers"][1];
  CHECK(b["model"] == "mnist");
  CHECK(b["version"] == "1");
  CHECK(b["address"] == AddressOf(1));
  CHECK(b["standing"] == "ejected");
  CHECK(b["reason"] == "failing");
  CHECK(b["remaining_seconds"] == 1.5);
  CHECK(b["capacity"] == 4);
  CHECK(b["outcomes"] ==
        nlohmann::json::parse(
            R"({"answered":100,"failed":0,"invalid":0,"refused":0,"lost":0,"silent":0})"));
  CHECK(b["ejections"] == 1);
  CHECK(b["latency"]["p50_ms"] < 3);
  CHECK(b["latency"]["p99_ms"] > 140);
  CHECK(b["latency"]["half_octaves"] == nlohmann::json::parse("[[13,90.0],[27,10.0]]"));
  const nlohmann::json& model = page["models"][0];
  CHECK(model["model"] == "mnist");
  CHECK(model["calls"] == 1);
  CHECK(model["in_flight"] == 1);
  CHECK(model["waiting"] == 1);
  CHECK(model["capacity"] == 8);
  CHECK(model["refused"] == 1);
}

// Run with "[figures]".
TEST_CASE("WorkerMetrics: figures of 10,000 workers", "[.][figures]") {
  std::vector<registry::v1::Endpoint> endpoints;
  std::map<std::string, std::optional<uint64_t>> changes;
  for (int i = 0; i < 10'000; ++i) {
    endpoints.push_back(Endpoint("worker-" + std::to_string(i), "1", AddressOf(i)));
    endpoints.back().mutable_worker()->set_model("model-" + std::to_string(i % 100));
    changes[endpoints.back().worker().address()] = 1;
  }
  Fleet fleet;
  fleet.Apply(MakeSnapshot("i", endpoints), At(0));
  const Snapshot<FleetSnapshot> snapshot(fleet.Snapshot());
  BackendTable backends(4);
  backends.Update(changes, At(0));
  for (const auto& [address, backend] : *backends.Get()) {
    for (size_t i = 0; i < 40; ++i) {
      backend->health().Answered(i % 4, At(100), absl::Microseconds(100 << (i % 10)));
    }
  }
  const MonotonicClock clock;
  const auto timed = [&](const char* what, const auto& work) {
    const Instant begun = clock.Now();
    const size_t size = work();
    std::printf("%s: %.1f ms, %zu bytes\n", what, absl::ToDoubleMilliseconds(clock.Now() - begun),
                size);
  };
  const ModelCallsTable calls(At(0), 4);
  for (int round = 0; round < 3; ++round) {
    timed("remember latencies", [&] {
      for (const auto& [address, backend] : *backends.Get()) backend->health().RememberLatency();
      return size_t{0};
    });
    timed("/metrics", [&] {
      return prometheus::TextSerializer()
          .Serialize(WorkerMetrics(snapshot, backends, clock).Collect())
          .size();
    });
    timed("/workers", [&] {
      return WorkersPage(*snapshot.Get(), *backends.Get(), *calls.All(), clock.Now()).size();
    });
  }
}

}  // namespace
}  // namespace torchfleet::gateway
