#include "base/metrics.h"

#include <prometheus/metric_family.h>

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "tests/unit/http_get.h"

namespace torchfleet {
namespace {

bool Contains(const std::string& text, const std::string& part) {
  CAPTURE(text, part);
  return text.find(part) != std::string::npos;
}

class OneGauge final : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override {
    prometheus::MetricFamily family;
    family.name = "torchfleet_test";
    family.type = prometheus::MetricType::Gauge;
    family.metric.emplace_back().gauge.value = 7;
    return {family};
  }
};

TEST_CASE("OperatorServer: takes a free port, and never one that is taken", "[base][metrics]") {
  auto server = OperatorServer::Start("127.0.0.1:0");
  REQUIRE(server.ok());
  CHECK((*server)->address() != "127.0.0.1:0");
  CHECK(OperatorServer::Start((*server)->address()).status().code() ==
        absl::StatusCode::kUnavailable);
}

TEST_CASE("OperatorServer: shows metrics, liveness, and readiness with its reason",
          "[base][metrics]") {
  auto server = OperatorServer::Start("127.0.0.1:0");
  REQUIRE(server.ok());
  const std::string& address = (*server)->address();
  CHECK(Contains(Get(address, "/healthz"), "HTTP/1.1 200"));
  CHECK(Contains(Get(address, "/readyz"), "HTTP/1.1 503"));
  (*server)->SetReadiness([] { return absl::UnavailableError("still waiting"); });
  CHECK(Contains(Get(address, "/readyz"), "still waiting"));
  (*server)->SetReadiness([] { return absl::OkStatus(); });
  CHECK(Contains(Get(address, "/readyz"), "HTTP/1.1 200"));
  (*server)->Register(std::make_shared<OneGauge>());
  CHECK(Contains(Get(address, "/metrics"), "torchfleet_test 7"));
  CHECK(Contains(Get(address, "/nowhere"), "HTTP/1.1 404"));
}

}  // namespace
}  // namespace torchfleet
